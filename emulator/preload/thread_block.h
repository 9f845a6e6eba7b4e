// ThreadBlock: what the library keeps for one thread of the program, with the stack that all signal
// handlers run on: its own (faults, system calls) and the program's. So no signal frame ever meets
// a page that is away, and a handler finds its thread's block from its stack pointer alone: there
// is no thread-local storage here.
//
// Memory: kBlockBytes, aligned to its size, never charged and never paged:
//   [block: ThreadBlock | a page without access | the alternate stack, growing down to it]
// Trust: inside. Threads: a block belongs to its thread; others touch only what says so.
#pragma once

#include <cstdint>

#include "emulator/pager/futex_lock.h"
#include "emulator/pager/pager.h"
#include "emulator/pager/run_record.h"

namespace coracle::epc {

inline constexpr uint64_t kBlockBytes = 2 << 20;
inline constexpr uint64_t kBlockHeadBytes = 64 << 10;  ///< before the page without access
inline constexpr uint32_t kBlocksMax = 4096;           ///< threads alive at a time
/// Ranges that one thread holds at a time, in parts of Hold::kRangesMax: all of an iovec (1,024
/// entries), with room for calls that interrupt it.
inline constexpr uint32_t kHoldsMax = 96;

/// The registered stack of sigaltstack, which the program sets and reads back and which is not
/// used.
struct AlternateStack {
  uint64_t address = 0;
  int32_t flags = 2;  ///< SS_DISABLE
  int32_t unused = 0;
  uint64_t bytes = 0;
};

enum class BlockState : uint32_t {
  kFree,
  kUsed,
  kLeaving  ///< its thread is in exit(2); free as soon as the kernel knows no such thread
};

struct ThreadBlock {
  BlockState state = BlockState::kFree;  ///< under the blocks' lock
  int32_t tid = 0;
  /// A child that shares memory until it starts a program (posix_spawn): not a thread of ours.
  bool starting_a_program = false;
  ThreadCounters* counters = nullptr;
  AlternateStack alternate_stack;
  uintptr_t exec_copy = 0;  ///< arguments of an execve that is under way (execution.h)
  Hold pins;                ///< what the kernel writes to on its own: rseq, tid word, robust list
  /// Holds of the calls under way. A signal handler of the program may leave a call behind by
  /// siglongjmp; `frames` tells whose frames are gone.
  Hold holds[kHoldsMax];
  uintptr_t frames[kHoldsMax] = {};
  uint32_t holds_used = 0;

  uintptr_t stack_begin() const { return reinterpret_cast<uintptr_t>(this) + kStackOffset; }
  uintptr_t stack_end() const { return reinterpret_cast<uintptr_t>(this) + kBlockBytes; }

  static constexpr uint64_t kStackOffset = kBlockHeadBytes + kPageBytes;
};
static_assert(sizeof(ThreadBlock) <= kBlockHeadBytes);

/// The block whose stack `address` is on.
inline ThreadBlock& BlockAround(const void* address) {
  return *reinterpret_cast<ThreadBlock*>(reinterpret_cast<uintptr_t>(address) & ~(kBlockBytes - 1));
}

/// All blocks of the process. Threads: any, all signals blocked.
class ThreadBlocks {
 public:
  /// A fresh block, state kUsed. Null: no memory, or kBlocksMax are in use.
  ThreadBlock* Take(RunRecord& record);
  /// The same for a thread that is not the program's: it counts nowhere.
  ThreadBlock* TakeUncounted();
  /// Back, holds and pins released, its counters for others to use. Its stack may not be in use.
  void Give(ThreadBlock& block, Pager& pager);
  /// The thread that runs on `block` is about to end. From here on only ReleaseGone touches it.
  void MarkLeaving(ThreadBlock& block);
  /// Gives back the blocks of threads that are gone. To be called before memory calls of the
  /// program: their stacks with the pinned pages may be unmapped next.
  void ReleaseGone(Pager& pager);

  /// In the child of a fork only the calling thread is left.
  void KeepOnly(ThreadBlock& own);
  void Lock() { lock_.Acquire(); }
  void Unlock() { lock_.Release(); }

 private:
  FutexLock lock_;
  std::atomic<uint32_t> leaving_{0};
  uint32_t count_ = 0;             ///< blocks ever made
  std::atomic<uint32_t> used_{0};  ///< by threads of the program
  ThreadBlock* blocks_[kBlocksMax] = {};
};

/// Releases what calls left behind whose frames are gone: those at or below `frame`, the address of
/// a call's frame on the thread's alternate stack, which has just begun.
void ReleaseLeftBehind(ThreadBlock& block, Pager& pager, uintptr_t frame);

/// Holds of one call, or of a part of it: released when it goes out of scope, or at the thread's
/// next call if the program jumped out of a signal handler that interrupted it.
/// Threads: the block's own. Those of one call end in the reverse order of their beginning.
class CallHolds {
 public:
  /// `frame`: of the call that is under way.
  CallHolds(ThreadBlock& block, Pager& pager, uintptr_t frame);
  ~CallHolds() { ReleaseAll(); }
  CallHolds(const CallHolds&) = delete;
  CallHolds& operator=(const CallHolds&) = delete;

  /// Pager::HoldBytes. kTooLarge also if the block's holds are all in use.
  HoldOutcome Bytes(uintptr_t begin, uint64_t bytes);
  /// Holds a zero-terminated string of at most `most` bytes, no page past its end.
  HoldOutcome String(uintptr_t begin, uint64_t most);
  void ReleaseAll();

 private:
  bool NextHold();

  ThreadBlock& block_;
  Pager& pager_;
  const uintptr_t frame_;
  const uint32_t first_;
};

}  // namespace coracle::epc
