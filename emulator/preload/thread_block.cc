#include "emulator/preload/thread_block.h"

#include <linux/mman.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cerrno>
#include <new>

#include "emulator/pager/own_memory.h"
#include "emulator/preload/program_memory.h"
#include "emulator/preload/raw_call.h"

namespace coracle::epc {
namespace {

/// Maps a block: twice the room, of which the aligned part is kept.
ThreadBlock* MapBlock() {
  const auto begin = reinterpret_cast<uintptr_t>(MapOwn(2 * kBlockBytes));
  if (begin == 0) return nullptr;
  const uintptr_t aligned = (begin + kBlockBytes - 1) & ~(kBlockBytes - 1);
  const uintptr_t end = begin + 2 * kBlockBytes;
  if (aligned != begin) AskKernel(SYS_munmap, begin, aligned - begin);
  if (aligned + kBlockBytes != end) {
    AskKernel(SYS_munmap, aligned + kBlockBytes, end - aligned - kBlockBytes);
  }
  AskKernel(SYS_madvise, aligned, kBlockBytes, MADV_NOHUGEPAGE);
  AskKernel(SYS_mprotect, aligned + kBlockHeadBytes, kPageBytes, PROT_NONE);
  return new (reinterpret_cast<void*>(aligned)) ThreadBlock;
}

ThreadCounters& CountersFor(RunRecord& record) {
  for (uint32_t i = 0; i + 1 < kThreadsMax; ++i) {
    uint32_t nobody = 0;
    // -1 until the thread knows its id.
    if (record.threads[i].tid.compare_exchange_strong(nobody, UINT32_MAX)) return record.threads[i];
  }
  return record.threads[kThreadsMax - 1];
}

/// Threads without a fault need no line: their counters go to others.
void ForgetIfIdle(ThreadCounters& counters) {
  if (counters.faults.load() != 0) return;
  counters.system_calls.store(0);
  counters.tid.store(0);
}

bool IsGone(const ThreadBlock& block) {
  return AskKernel(SYS_tgkill, AskKernel(SYS_getpid), block.tid, 0) == -ESRCH;
}

}  // namespace

ThreadBlock* ThreadBlocks::TakeUncounted() {
  const LockHeld locked(lock_);
  ThreadBlock* block = nullptr;
  for (uint32_t i = 0; i < count_ && block == nullptr; ++i) {
    if (blocks_[i]->state == BlockState::kFree) block = new (blocks_[i]) ThreadBlock;
  }
  if (block == nullptr && count_ < kBlocksMax) {
    block = MapBlock();
    if (block != nullptr) blocks_[count_++] = block;
  }
  if (block != nullptr) block->state = BlockState::kUsed;
  return block;
}

ThreadBlock* ThreadBlocks::Take(RunRecord& record) {
  ThreadBlock* const block = TakeUncounted();
  if (block == nullptr) return nullptr;
  block->counters = &CountersFor(record);
  const uint32_t used = used_.fetch_add(1) + 1;
  if (used > record.threads_peak.load()) record.threads_peak.store(used);
  return block;
}

void ThreadBlocks::Give(ThreadBlock& block, Pager& pager) {
  for (uint32_t i = 0; i < block.holds_used; ++i) pager.Release(block.holds[i]);
  block.holds_used = 0;
  pager.Release(block.pins);
  ForgetIfIdle(*block.counters);
  const LockHeld locked(lock_);
  block.state = BlockState::kFree;
  --used_;
}

void ThreadBlocks::MarkLeaving(ThreadBlock& block) {
  const LockHeld locked(lock_);
  block.state = BlockState::kLeaving;
  leaving_.fetch_add(1);
}

void ThreadBlocks::ReleaseGone(Pager& pager) {
  if (leaving_.load(std::memory_order_relaxed) == 0) return;
  const LockHeld locked(lock_);
  for (uint32_t i = 0; i < count_; ++i) {
    ThreadBlock& block = *blocks_[i];
    if (block.state != BlockState::kLeaving || !IsGone(block)) continue;
    pager.Release(block.pins);
    ForgetIfIdle(*block.counters);
    block.state = BlockState::kFree;
    --used_;
    leaving_.fetch_sub(1);
  }
}

void ThreadBlocks::KeepOnly(ThreadBlock& own) {
  for (uint32_t i = 0; i < count_; ++i) {
    if (blocks_[i] != &own) blocks_[i]->state = BlockState::kFree;
  }
  leaving_.store(0);
  used_ = 1;
}

void ReleaseLeftBehind(ThreadBlock& block, Pager& pager, uintptr_t frame) {
  while (block.holds_used > 0 && block.frames[block.holds_used - 1] <= frame) {
    pager.Release(block.holds[--block.holds_used]);
  }
}

CallHolds::CallHolds(ThreadBlock& block, Pager& pager, uintptr_t frame)
    : block_(block), pager_(pager), frame_(frame), first_(block.holds_used) {}

void CallHolds::ReleaseAll() {
  while (block_.holds_used > first_) pager_.Release(block_.holds[--block_.holds_used]);
}

bool CallHolds::NextHold() {
  const bool open = block_.holds_used > first_;
  if (open && block_.holds[block_.holds_used - 1].count < Hold::kRangesMax) return true;
  if (block_.holds_used == kHoldsMax) return false;
  block_.frames[block_.holds_used] = frame_;
  block_.holds[block_.holds_used++].count = 0;
  return true;
}

HoldOutcome CallHolds::Bytes(uintptr_t begin, uint64_t bytes) {
  if (bytes == 0 || begin == 0) return HoldOutcome::kHeld;
  if (!NextHold()) return HoldOutcome::kTooLarge;
  return pager_.HoldBytes(begin, bytes, block_.holds[block_.holds_used - 1], block_.counters);
}

HoldOutcome CallHolds::String(uintptr_t begin, uint64_t most) {
  std::byte piece[256];
  const uintptr_t end = begin + most;
  uintptr_t held_until = begin;
  for (uintptr_t at = begin; at < end;) {
    if (at == held_until) {
      const uintptr_t page_end = (at | (kPageBytes - 1)) + 1;
      const HoldOutcome outcome = Bytes(at, page_end - at);
      if (outcome != HoldOutcome::kHeld) return outcome;
      held_until = page_end;
    }
    const uint64_t step = held_until - at < sizeof piece ? held_until - at : sizeof piece;
    if (!PeekProgram(at, std::span(piece, step))) return HoldOutcome::kNotMapped;
    for (uint64_t i = 0; i < step; ++i) {
      if (piece[i] == std::byte{0}) return HoldOutcome::kHeld;
    }
    at += step;
  }
  return HoldOutcome::kHeld;
}

}  // namespace coracle::epc
