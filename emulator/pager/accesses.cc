// Accesses to pages: the program's faults, and the kernel's, for which pages are held.
#include <errno.h>
#include <sys/mman.h>

#include "emulator/pager/fatal.h"
#include "emulator/pager/pager.h"
#include "emulator/pager/residency.h"

namespace coracle::epc {
namespace {

/// Appends [begin, end), to the last range if it goes on there. False: no place.
bool Append(Hold& hold, Range range) {
  if (hold.count != 0 && hold.ranges[hold.count - 1].end == range.begin) {
    hold.ranges[hold.count - 1].end = range.end;
    return true;
  }
  if (hold.count == Hold::kRangesMax) return false;
  hold.ranges[hold.count++] = range;
  return true;
}

void ReleaseRange(Residency& r, Range range) {
  r.pages.ForEach(range.begin, range.end, [&r](PageRecord& page) { r.DropHold(page); });
}

/// Whether there is something to hold at `address`: paged, and of use to the kernel.
bool IsHoldable(const Mapping* mapping) {
  return mapping->kind == Kind::kPaged &&
         (mapping->protection != PROT_NONE || mapping->protection_unknown);
}

HoldOutcome HoldPages(Residency& r, Range range, ThreadCounters* thread) {
  if (range.end - range.begin > r.room_for_holds() * kPageBytes) {
    // Only what is paged counts: the buffer may lie in a mapped file.
    uint64_t paged_bytes = 0;
    const Mapping* at = r.mappings.FirstEndingPast(range.begin);
    for (; at != nullptr && at != r.mappings.end() && at->begin < range.end; ++at) {
      if (!IsHoldable(at)) continue;
      paged_bytes += (at->end < range.end ? at->end : range.end) -
                     (at->begin > range.begin ? at->begin : range.begin);
    }
    if (paged_bytes > r.room_for_holds() * kPageBytes) return HoldOutcome::kTooLarge;
  }
  for (uintptr_t at = range.begin; at < range.end; at += kPageBytes) {
    const Mapping* mapping = r.mappings.FirstEndingPast(at);
    if (mapping == nullptr) break;
    if (mapping->begin <= at && !IsHoldable(mapping)) {
      at = mapping->end - kPageBytes;
      continue;
    }
    if (mapping->begin > at && !r.GrowStack(at)) {
      at = mapping->begin - kPageBytes;
      continue;
    }
    PageRecord* page = r.pages.Find(at);
    if (page == nullptr || page->state != PageState::kPresent) {
      const Residency::Brought brought = r.BringIn(at, thread);
      if (brought == Residency::Brought::kNotOurs) continue;
      if (brought == Residency::Brought::kNoRoom) {
        ReleaseRange(r, {range.begin, at});
        return HoldOutcome::kTooLarge;
      }
      page = r.pages.Find(at);
    }
    r.AddHold(*page);
  }
  return HoldOutcome::kHeld;
}

}  // namespace

FaultOutcome Pager::Fault(uintptr_t address, ThreadCounters* thread) {
  Residency& r = *residency_;
  const uint64_t begin_ticks = Ticks();
  r.lock.Acquire();
  const uint64_t locked_ticks = Ticks();
  const PageRecord* before = r.pages.Find(address);
  const bool is_soft = before != nullptr && before->state == PageState::kPresent;
  const Residency::Brought brought = r.BringIn(address, thread);
  RunRecord& record = *r.record;
  r.NoteProgress(brought != Residency::Brought::kNoRoom);
  if (brought != Residency::Brought::kNotOurs) {
    Count(record.faults);
    if (is_soft) Count(record.soft_faults);
    if (thread != nullptr) Count(thread->faults);
    r.Publish();
    const uint64_t end_ticks = Ticks();
    Count(record.wait_ticks, locked_ticks - begin_ticks);
    Count(record.pager_ticks, end_ticks - begin_ticks);
    if (thread != nullptr) Count(thread->pager_ticks, end_ticks - begin_ticks);
  }
  r.lock.Release();
  // Others hold all that could go: once they let go of it, the next try succeeds.
  if (brought == Residency::Brought::kNoRoom) RawCall(SYS_sched_yield);
  return brought == Residency::Brought::kNotOurs ? FaultOutcome::kNotOurs : FaultOutcome::kServed;
}

HoldOutcome Pager::HoldBytes(uintptr_t begin, uint64_t bytes, Hold& hold, ThreadCounters* thread) {
  if (bytes == 0) return HoldOutcome::kHeld;
  uintptr_t end = 0;
  if (__builtin_add_overflow(begin, bytes, &end) || end > UINTPTR_MAX - kPageBytes) {
    return HoldOutcome::kNotMapped;
  }
  const Range range{PageDown(begin), PageUp(end)};
  const LockHeld held(residency_->lock);
  const HoldOutcome outcome = HoldPages(*residency_, range, thread);
  if (outcome != HoldOutcome::kHeld) return outcome;
  if (!Append(hold, range)) {
    ReleaseRange(*residency_, range);
    return HoldOutcome::kTooLarge;
  }
  residency_->Publish();
  return outcome;
}

uint64_t Pager::HoldBytesMax() const {
  constexpr uint64_t kMost = uint64_t{1} << 24;
  const uint64_t part = PageDown(residency_->limit_pages.load() / 16 * kPageBytes);
  return part < kMost ? part : kMost;
}

void Pager::Release(Hold& hold) {
  if (hold.count == 0) return;
  const LockHeld held(residency_->lock);
  for (uint32_t i = 0; i < hold.count; ++i) ReleaseRange(*residency_, hold.ranges[i]);
  hold.count = 0;
  residency_->Publish();
}

}  // namespace coracle::epc
