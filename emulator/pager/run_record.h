// RunRecord: one run under epcrun, in memory that the command and the program's process share.
//
// epcrun makes it (a memfd), fills the orders and hands it over through the environment; the pager
// in the program's process counts in it; epcrun reads it at any moment, also after a kill -9.
// Trust: this is the experimenter's side. Nothing in it decides whether a page is authentic.
//
// Plain integers and atomics only: both sides are built from this header.
#pragma once

#include <atomic>
#include <cstdint>

namespace coracle::epc {

inline constexpr uint64_t kPageBytes = 4096;
inline constexpr uint64_t kUnlimited = UINT64_MAX;
/// Exit code of a program whose evicted page did not open (changed, exchanged or replayed).
inline constexpr int kTamperedExitCode = 86;
/// The environment variable that hands the record over: "PID:FD" of the process that is to run
/// inside and the memfd. A process with another PID is a child and runs outside.
inline constexpr char kHandoverVariable[] = "EPCRUN_HANDOVER";
inline constexpr uint32_t kRunRecordVersion = 2;
inline constexpr uint32_t kThreadsMax = 256;  ///< counted one by one; those past it share the last
inline constexpr uint32_t kMarksMax = 4096;

/// Counters of one thread. Written by that thread alone.
struct ThreadCounters {
  std::atomic<uint32_t> tid{0};  ///< 0: not used
  char name[20] = {};            ///< as the kernel had it at the last fault
  std::atomic<uint64_t> faults{0};
  std::atomic<uint64_t> loads{0};
  std::atomic<uint64_t> evictions{0};
  std::atomic<uint64_t> zero_fills{0};
  std::atomic<uint64_t> pager_ticks{0};
  std::atomic<uint64_t> system_calls{0};
};

/// What the program asked to have noted (base/epc_mark.h): the counters at that moment.
struct Mark {
  uint64_t label = 0;
  uint64_t nanoseconds = 0;  ///< CLOCK_MONOTONIC
  uint64_t faults = 0;
  uint64_t loads = 0;
  uint64_t evictions = 0;
  uint64_t zero_fills = 0;
};

enum class RunState : uint32_t { kStarting = 0, kInside = 1, kRefused = 2, kTampered = 3 };

struct RunRecord {
  uint32_t version = kRunRecordVersion;
  uint32_t record_bytes = 0;  ///< sizeof(RunRecord), checked on the other side

  // Orders, by epcrun, before the program starts.
  uint64_t limit_bytes = kUnlimited;  ///< whole pages
  uint64_t charge_cycles = 0;         ///< a load with its eviction takes at least so long
  char share_name[64] = {};           ///< of the EPC that several runs share; empty: an own one
  uint64_t quota_bytes = 0;  ///< asked for in a shared EPC; 0: an equal part of what is left

  // Answers, by the program's process.
  std::atomic<RunState> state{RunState::kStarting};
  char complaint[256] = {};  ///< kRefused, kTampered: one line

  // Pages. Sizes in bytes; whole pages.
  std::atomic<uint64_t> faults{0};
  std::atomic<uint64_t> loads{0};        ///< pages opened and placed (ELDU)
  std::atomic<uint64_t> evictions{0};    ///< pages sealed and dropped (EWB)
  std::atomic<uint64_t> zero_fills{0};   ///< first touches (EAUG)
  std::atomic<uint64_t> soft_faults{0};  ///< served without a load: a race or a second chance
  std::atomic<uint64_t> sealed_bytes{0};
  std::atomic<uint64_t> opened_bytes{0};
  std::atomic<uint64_t> resident_bytes{0};  ///< evictable and pinned pages that are present
  std::atomic<uint64_t> resident_peak_bytes{0};
  std::atomic<uint64_t> pinned_bytes{0};  ///< of resident: writable data, threads' blocks, held
  std::atomic<uint64_t> wanted_bytes{0};  ///< present and sealed: what it would keep
  std::atomic<uint64_t> peak_wanted_bytes{0};
  std::atomic<uint64_t> code_bytes{0};     ///< executable and read-only file pages: not charged
  std::atomic<uint64_t> outside_bytes{0};  ///< shared and mapped files: not charged
  std::atomic<uint64_t> runtime_bytes{0};  ///< the emulator's own tables and stacks: not charged

  // Time, in time-stamp-counter ticks.
  uint64_t ticks_per_second = 0;           ///< measured by epcrun
  std::atomic<uint64_t> pager_ticks{0};    ///< in all, inside of handlers; not what the kernel's
                                           ///< signal delivery adds
  std::atomic<uint64_t> crypto_ticks{0};   ///< of those, sealing and opening
  std::atomic<uint64_t> mapping_ticks{0};  ///< of those, system calls that map and unmap
  std::atomic<uint64_t> charged_ticks{0};  ///< of those, spun for charge_cycles
  std::atomic<uint64_t> wait_ticks{0};     ///< of those, waiting for another thread's fault

  std::atomic<uint64_t> system_calls{0};
  std::atomic<uint32_t> children{0};  ///< forked or started; they run outside
  std::atomic<uint32_t> threads_peak{0};

  // Orders while the program runs, to the thread that preload/shared_epc.h describes: the parts of
  // a shared EPC change. One order at a time.
  std::atomic<uint32_t> order{0};  ///< its number; a futex word that epcrun wakes
  std::atomic<uint64_t> ordered_limit_bytes{kUnlimited};
  std::atomic<uint32_t> order_done{0};  ///< number of the last order that was carried out
  std::atomic<uint64_t> kept_bytes{0};  ///< with it: no more are, or will be, resident. More than
                                        ///< was ordered where pinned and held pages are in the way

  ThreadCounters threads[kThreadsMax];
  std::atomic<uint32_t> marks_count{0};  ///< may pass kMarksMax: the rest is not kept
  Mark marks[kMarksMax];
};

}  // namespace coracle::epc
