// Pager: keeps the program's memory within a limit, as an enclave page cache would.
//
// It lives in the program's own process. Anonymous private memory, wherever the program's own
// allocator maps it, is registered with userfaultfd (missing pages, SIGBUS mode) and paged in 4 KiB
// pages: at most `limit` bytes are present at any moment; a page that must go is sealed
// (AES-256-GCM) to memory that stands for the host's and dropped, and opened again at the next
// touch. Nonce: a counter of evictions, process-wide, under a key made for this process.
// Associated data: the page's address when it was sealed. The counter and the tag stay in the
// pager's own tables (the trusted side), so a changed, exchanged or replayed page does not open.
//
// Trust: the sealed store is the host's: anybody may write to it. All else here is trusted.
// Threads: every method may be called by any thread at any time, from within signal handlers too,
// provided that all blockable signals are blocked. Nothing here calls libc, allocates from the
// program's heap, or touches program memory that it does not hold.
//
// The pager's own memory (tables, store, locks) is never registered: it lies in mappings of its
// own.
#pragma once

#include <cstdint>
#include <span>

#include "emulator/pager/run_record.h"

namespace coracle::epc {

/// Addresses [begin, end), whole pages unless it says otherwise.
struct Range {
  uintptr_t begin = 0;
  uintptr_t end = 0;
};

/// Whether pages of a range may be evicted. Both are charged.
enum class Charge : uint8_t { kEvictable, kPinned };

enum class FaultOutcome : uint8_t {
  kServed,  ///< the instruction may be tried again
  kNotOurs  ///< no page of ours is missing there: the program's own SIGBUS
};

/// Pages that are present and stay so until they are released. Kept by the caller (on its stack or
/// in its thread block). Holding a page twice needs two releases.
struct Hold {
  static constexpr uint32_t kRangesMax = 24;
  Range ranges[kRangesMax];
  uint32_t count = 0;
};

/// Why Hold was refused.
enum class HoldOutcome : uint8_t {
  kHeld,
  kNotMapped,  ///< some byte is in no mapping (the kernel's answer would be EFAULT)
  kTooLarge    ///< more than the limit leaves free: hold less at a time
};

/// How pages are brought in and taken away: docs/adr/0013-fault-path.md.
enum class Moves : uint8_t {
  kCopy,  ///< UFFDIO_COPY in; write-protect, seal, MADV_DONTNEED out. Any kernel since 5.11
  kMove   ///< few pages at a time by UFFDIO_MOVE both ways where it applies (6.8), else as kCopy
};

class Pager {
 public:
  struct Settings {
    RunRecord* record = nullptr;  ///< outlives the pager; limit, charge, share
    Moves moves = Moves::kMove;   ///< falls back to kCopy where the kernel has no UFFDIO_MOVE
  };

  /// The one pager of this process: its memory is a mapping of its own. Null: `complaint` (at least
  /// 256 bytes) says in one line what is refused and what to change (userfaultfd, the limit, ...).
  static Pager* Create(const Settings& settings, std::span<char> complaint);
  /// Unregisters everything and frees its memory: evicted pages are loaded first, so the limit must
  /// be unlimited or the ranges forgotten. For tests and benchmarks in one process.
  void Destroy();

  // Memory that exists before the pager does (from /proc/self/maps), page by page.

  /// Takes over [range] of anonymous private memory with its pages that are present. kPinned pages
  /// are charged and never evicted.
  /// Pages past the limit are evicted at once. PROT_GROWSDOWN in `protection`: a stack, whose
  /// growth is ours too.
  /// False: the kernel refused to register it (then it counts as outside).
  bool Adopt(Range range, int protection, Charge charge);
  /// Counts a mapping that is not paged: as code (private, of a file, not writable) or as outside.
  void NoteOther(Range range, int protection, bool is_private_file);
  /// Charges pages that userfaultfd cannot register (written private file pages): counted as
  /// pinned.
  void ChargePinned(uint64_t bytes);

  // Memory calls of the program, made in its stead: records and kernel change together. Arguments
  // and results as those of the system calls (-errno). All other mappings pass through unchanged.

  // Anonymous private memory is not populated or locked in advance, and there are no huge pages of
  // it (-ENOMEM, as on a machine that has set none aside). Private writable data of regular files
  // is read into anonymous memory in its place, so that it is charged and paged as well.

  long Map(uintptr_t address, uint64_t length, int protection, int flags, int fd, int64_t offset);
  long Unmap(uintptr_t address, uint64_t length);
  long Remap(uintptr_t old_address, uint64_t old_length, uint64_t new_length, int flags,
             uintptr_t new_address);
  long Protect(uintptr_t address, uint64_t length, int protection, int key);
  long Advise(uintptr_t address, uint64_t length, int advice);
  long Break(uintptr_t address);

  // Faults and kernel accesses.

  /// Serves a SIGBUS at `address`; counts it for `thread` (the caller's own; may be null). If an
  /// evicted page does not open, it ends the process with kTamperedExitCode and one line on stderr.
  FaultOutcome Fault(uintptr_t address, ThreadCounters* thread = nullptr);

  /// Makes all pages of [begin, begin + bytes) that are ours present (first touches become zero
  /// pages) and keeps them so. Any alignment. `bytes` == 0: nothing. Pages that are not ours need
  /// no hold and count as held.
  HoldOutcome HoldBytes(uintptr_t begin, uint64_t bytes, Hold& hold,
                        ThreadCounters* thread = nullptr);
  /// Most bytes that one call should hold at a time: a part of the limit.
  uint64_t HoldBytesMax() const;
  /// Releases all of `hold` and empties it.
  void Release(Hold& hold);

  // Fork. BeforeFork locks the pager; exactly one of the others follows in each process.

  void BeforeFork();
  void AfterForkInParent();
  /// The child has copies of all present and all sealed pages: registers its memory anew, without a
  /// limit (children run outside; nothing is counted), and goes on.
  void AfterForkInChild();

  /// Evicts until at most `bytes` are resident (pinned and held ones stay). For a shared EPC whose
  /// quotas changed. Returns what is resident then.
  uint64_t ShrinkTo(uint64_t bytes);
  /// The limit may change while the program runs (shared EPC). Does not evict by itself.
  void SetLimit(uint64_t bytes);
  uint64_t resident_bytes() const;

  /// The host's side of the sealed store: slot i holds kPageBytes of ciphertext. For attacks
  /// (tests) and for whoever wants to look.
  std::span<std::byte> store();
  /// Slot of an evicted page; -1 if the page at `address` is not evicted.
  int64_t StoreSlotOf(uintptr_t address) const;

  /// Whether a descriptor is the pager's: the program must not close or replace it.
  bool OwnsDescriptor(int descriptor) const;

  Pager(const Pager&) = delete;
  Pager& operator=(const Pager&) = delete;

 private:
  Pager() = default;
  ~Pager() = default;

  class Residency* residency_ = nullptr;
};

}  // namespace coracle::epc
