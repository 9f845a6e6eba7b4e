// One EPC that several runs compete for: `--share NAME`.
//
// The runs meet in a table in shared memory, /dev/shm/epcrun-NAME. Each has a part; the sum of all
// parts never exceeds the EPC's size, and no program is resident beyond its part. A part is fixed
// (--quota) or elastic: an equal share of what fixed parts leave, divided anew when runs come and
// go. Whoever must give up pages evicts them itself first; only then its part shrinks, and only
// from what is free do others' parts grow. So a newcomer waits at its gate until it has its part.
//
// A run that died is taken out by the others (its process is gone, or another one has its number).
// Trust: all runs are one user's experiment. Threads: one a run; between processes, flock.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "emulator/epcrun/descriptor.h"
#include "emulator/pager/run_record.h"

namespace coracle::epc {

inline constexpr uint32_t kMembersMax = 64;
/// How long a newcomer waits for the others to give up pages.
inline constexpr uint32_t kJoinMsMax = 60'000;
/// How often a run looks after its part.
inline constexpr uint32_t kShareMs = 10;

/// Letters, digits, '-', '_' and '.', at most 48.
/// Errors: kInvalidArgument.
Status CheckShareName(const std::string& name);

/// The parts of runs that asked for `quotas` (0: elastic) of `size_bytes`; whole pages, in order.
/// Errors: kOutOfBudget if the fixed ones do not fit or leave an elastic one less than
/// kLimitBytesMin.
Result<std::vector<uint64_t>> PartsOf(uint64_t size_bytes, std::span<const uint64_t> quotas);

/// One run, as the table has it.
struct MemberView {
  pid_t pid = 0;  ///< of the program
  std::string name;
  uint64_t quota_bytes = 0;  ///< 0: elastic
  uint64_t part_bytes = 0;
  uint64_t resident_bytes = 0;
  uint64_t faults = 0;
  uint64_t loads = 0;
  uint64_t evictions = 0;
};

struct ShareView {
  uint64_t size_bytes = 0;
  std::vector<MemberView> members;
};

/// The runs of `name` that are alive.
/// Errors: kUnavailable (nobody shares it; the table is somebody else's or damaged).
Result<ShareView> ViewShare(const std::string& name);

struct SharedTable;

/// A run's membership.
class SharedEpc {
 public:
  struct Settings {
    std::string name;
    uint64_t size_bytes = 0;
    uint64_t quota_bytes = 0;  ///< 0: elastic
    pid_t pid = 0;             ///< of the program, which waits at its gate
    std::string program;       ///< for ViewShare
    uint32_t wait_ms = kJoinMsMax;
  };

  /// Joins, and waits until the others have given up what this run is to have: then
  /// `record.limit_bytes` is its part.
  /// Errors: kOutOfBudget (it does not fit; with the figures), kInvalidArgument (the others share
  /// another size), kUnavailable (nobody gave way in `wait_ms`; the program died).
  static Result<std::unique_ptr<SharedEpc>> Join(const Settings& settings, RunRecord& record);
  /// Leaves. Requires: the program is gone.
  ~SharedEpc();
  SharedEpc(const SharedEpc&) = delete;
  SharedEpc& operator=(const SharedEpc&) = delete;

  /// To be called every kShareMs: buries the dead, moves this run's part towards what it should be
  /// by orders to its program (preload/shared_epc.h), and publishes its counters.
  void Tick(RunRecord& record);

 private:
  class Lock;
  enum class Entry : uint8_t { kEntered, kTryAgain };
  explicit SharedEpc(std::string name) : name_(std::move(name)) {}
  /// kTryAgain: the last run removed the table between opening and locking it.
  Result<Entry> OpenAndEnter(const Settings& settings);
  Status Enter(const Settings& settings);
  Status WaitForPart(const Settings& settings, RunRecord& record);
  /// The part that this run should have. Requires: locked.
  uint64_t Target() const;
  uint64_t FreeBytes() const;
  void FinishOrder(RunRecord& record);
  void GiveOrder(RunRecord& record, uint64_t target_bytes);

  std::string name_;
  Descriptor file_;
  SharedTable* table_ = nullptr;
  uint32_t slot_ = kMembersMax;
  uint64_t ordered_bytes_ = 0;  ///< of the order that is under way or was the last
  uint64_t order_ns_ = 0;
};

}  // namespace coracle::epc
