// Residency: which pages are present, and how they come and go. The pager's engine room.
//
// Invariant at every instant: resident() <= limit, as long as anything can be evicted. Resident
// are: present pages of the program, frames (below), and the one page through which evicted pages
// are opened.
//
// Frames: pages of the pager's own staging area that hold nothing any more, for their contents were
// moved there out of the program and sealed. The next page to come is opened into a frame, which is
// moved into the program: no frame is freed or zeroed between (UFFDIO_MOVE, both ways).
// Threads: under `lock`, which Pager's methods take.
#pragma once

#include <atomic>
#include <cstdint>

#include "emulator/pager/eviction_order.h"
#include "emulator/pager/futex_lock.h"
#include "emulator/pager/page_table.h"
#include "emulator/pager/range_table.h"
#include "emulator/pager/sealed_store.h"
#include "emulator/pager/user_fault.h"

namespace coracle::epc {

/// Most pages that are evicted at a time, where the oldest lie one behind the other: the SGX
/// driver's SGX_NR_TO_SCAN.
inline constexpr uint32_t kBatchPages = 16;
/// From so many on, copying them costs less a page than moving (docs/adr/0013-fault-path.md).
inline constexpr uint32_t kCopiedRunMin = 4;
/// Least limit: what one instruction may touch, frames and threads' buffers that are held.
inline constexpr uint64_t kLimitPagesMin = 64;
/// Pages that holds leave free, so that every thread gets on.
inline constexpr uint64_t kNeverHeldPages = 32;

inline uint64_t PageDown(uint64_t bytes) { return bytes & ~(kPageBytes - 1); }
inline uint64_t PageUp(uint64_t bytes) { return PageDown(bytes + kPageBytes - 1); }

class Residency {
 public:
  enum class Brought : uint8_t {
    kPresent,
    kNotOurs,  ///< nothing of ours is mapped there
    kNoRoom    ///< all that is resident is pinned or held
  };

  /// Null: done. Else what went wrong.
  const char* Init(RunRecord* run, bool use_moves);
  void Free();

  /// Makes the page at `address` present.
  Brought BringIn(uintptr_t address, ThreadCounters* thread);
  /// The kernel is about to use `address`, in no mapping of ours: extends the stack above down to
  /// there, as the kernel itself would. False: there is no stack that reaches there.
  bool GrowStack(uintptr_t address);
  /// Evicts until at most `pages` are resident, or nothing can be evicted any more.
  void ShrinkTo(uint64_t pages);
  /// Makes an untouched page of `mapping` present with the contents of a file: `descriptor` from
  /// `offset` on, zeros past its end. False: it cannot be read.
  bool FillFromFile(uintptr_t address, int descriptor, int64_t offset);
  /// A page that the kernel had before us.
  void TakeOver(uintptr_t address, const Mapping& mapping);

  /// Pages that are present for good, wherever they are.
  void ChargePinned(uint64_t count);

  /// The pages of `range` are no more (unmapped, or MADV_DONTNEED): the next touch is a first one.
  void DropPages(Range range);
  /// As DropPages; and nothing is mapped there any more.
  void Forget(Range range);
  /// The kernel has moved the pages of [from, from + bytes) to `to`, where nothing was.
  void MovePages(uintptr_t from, uint64_t bytes, uintptr_t to);
  /// Registers all paged mappings inside of `range`. False: refused.
  bool RegisterAll(Range range);

  /// A hold of one page more or less. AddHold requires: present.
  void AddHold(PageRecord& page);
  void DropHold(PageRecord& page);

  /// In a fork's child: no limit, a record of its own, a new userfaultfd.
  void BeginAnew();

  /// A fault was served, or there was no room for its page. Where there can be none any more, or
  /// has been none for seconds, it ends the process.
  void NoteProgress(bool is_served);

  uint64_t resident() const { return resident_; }
  uint64_t room_for_holds() const;
  /// Writes sizes into the record.
  void Publish();

  FutexLock lock;
  std::atomic<uint64_t> limit_pages{0};
  RunRecord* record = nullptr;
  PageTable pages;
  RangeTable mappings;
  SealedStore store;
  UserFault user_fault;
  uintptr_t program_break = 0;
  int memory_descriptor = -1;  ///< /proc/self/mem; -1: refused

 private:
  static bool IsMovable(const Mapping& mapping);
  const Mapping* MappingOf(uintptr_t address);
  bool Reserve(bool movable);
  bool EvictRun();
  uint32_t TakeRun(PageRecord** run);
  uint32_t MoveOut(PageRecord** run, uint32_t count);
  void CopyOut(PageRecord** run, uint32_t count, const Mapping& mapping);
  const std::byte* Plaintext(const PageRecord& page, const Mapping& mapping);
  void Seal(const std::byte* plaintext, PageRecord& page);
  void DropFrames();
  Brought Load(PageRecord& page, const Mapping& mapping);
  Brought ZeroFill(PageRecord& page, const Mapping& mapping);
  Brought Refresh(const PageRecord& page);
  long Place(uintptr_t address, bool by_move);
  uint64_t FillCount(const PageRecord& page, const Mapping& mapping) const;
  /// `refault_distance`: of a page that was loaded.
  void NowPresent(PageRecord& page, const Mapping& mapping, uint64_t refault_distance = UINT64_MAX);
  void DropPage(PageRecord& page);
  void Charge(uint64_t begin_ticks);
  Brought Refused(long error, uintptr_t address);
  std::byte* Frame(uint32_t i) const { return frames_begin_ + i * kPageBytes; }

  OwnMemory memory_;
  EvictionOrder order_;
  RunRecord* child_record_ = nullptr;
  ThreadCounters* thread_ = nullptr;  ///< whose fault is being served
  bool use_moves_ = false;
  uint64_t resident_ = 1;
  uint64_t pinned_ = 0;
  uint64_t held_ = 0;
  uint64_t sealed_ = 0;
  std::byte* buffer_ = nullptr;
  std::byte* zeros_ = nullptr;
  std::byte* frames_begin_ = nullptr;
  uint32_t frames_ = 0;          ///< frames 0 to frames_ - 1 are present and free
  uint64_t stuck_since_ = 0;     ///< ticks of the first fault in a row without room; 0: none
  uint64_t eviction_ticks_ = 0;  ///< of the last run, a page
};

/// `counter` += `more`: with one writer at a time no locked instruction is needed.
inline void Count(std::atomic<uint64_t>& counter, uint64_t more = 1) {
  counter.store(counter.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
}

}  // namespace coracle::epc
