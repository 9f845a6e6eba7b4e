// How pages go: the oldest first, a run of neighbours at a time, sealed before they are dropped.
#include <errno.h>
#include <sys/mman.h>

#include "emulator/pager/fatal.h"
#include "emulator/pager/residency.h"

namespace coracle::epc {

bool Residency::IsMovable(const Mapping& mapping) {
  // UFFDIO_MOVE asks that both sides may be used in the same way; the frames are read-write.
  return mapping.protection == (PROT_READ | PROT_WRITE) && !mapping.has_key &&
         !mapping.protection_unknown;
}

void Residency::DropFrames() {
  if (frames_ == 0) return;
  RawCall(SYS_madvise, AsLong(frames_begin_), AsLong(frames_ * kPageBytes), MADV_DONTNEED);
  resident_ -= frames_;
  frames_ = 0;
}

bool Residency::Reserve(bool movable) {
  for (;;) {
    if (movable && frames_ != 0) return true;
    if (resident_ < limit_pages.load(std::memory_order_relaxed)) return true;
    if (frames_ != 0) {
      DropFrames();
    } else if (!EvictRun()) {
      return false;
    }
  }
}

void Residency::ShrinkTo(uint64_t pages_wanted) {
  DropFrames();
  while (resident_ > pages_wanted && EvictRun()) DropFrames();
}

uint32_t Residency::TakeRun(PageRecord** run) {
  // Held pages are put back by their last release.
  while (order_.next() != nullptr && order_.next()->holds != 0) order_.Remove(*order_.next());
  uint32_t count = 0;
  for (PageRecord* page = order_.next(); page != nullptr && count < kBatchPages;) {
    const bool goes_on = count == 0 || page->address == run[count - 1]->address + kPageBytes;
    if (!goes_on || page->holds != 0) break;
    PageRecord* next = page->newer;
    order_.Remove(*page);
    run[count++] = page;
    page = next;
  }
  return count;
}

bool Residency::EvictRun() {
  // A fork's child has its parent's key and version: what both sealed would share a nonce.
  if (child_record_ != nullptr) return false;
  PageRecord* run[kBatchPages];
  const uint64_t begin_ticks = Ticks();
  const uint32_t count = TakeRun(run);
  if (count == 0) return false;
  // A run may cross mappings, which differ in protection.
  uint32_t at = 0;
  while (at < count) {
    const Mapping* mapping = mappings.Find(run[at]->address);
    EPC_CHECK(mapping != nullptr && mapping->kind == Kind::kPaged);
    uint32_t end = at + 1;
    while (end < count && run[end]->address < mapping->end) ++end;
    const bool is_short = end - at < kCopiedRunMin;
    if (is_short && use_moves_ && frames_ == 0 && IsMovable(*mapping)) {
      at += MoveOut(run + at, end - at);
    }
    if (at < end) CopyOut(run + at, end - at, *mapping);
    at = end;
  }
  Count(record->evictions, count);
  Count(record->sealed_bytes, count * kPageBytes);
  if (thread_ != nullptr) Count(thread_->evictions, count);
  eviction_ticks_ = (Ticks() - begin_ticks) / count;
  return true;
}

void Residency::Seal(const std::byte* plaintext, PageRecord& page) {
  const uint64_t begin_ticks = Ticks();
  if (!store.Seal(plaintext, page)) {
    Die(record, RunState::kRefused, "epcrun: the store of evicted pages is full (256 GiB)");
  }
  ++sealed_;
  Count(record->crypto_ticks, Ticks() - begin_ticks);
}

uint32_t Residency::MoveOut(PageRecord** run, uint32_t count) {
  const uint64_t begin_ticks = Ticks();
  uint64_t done = 0;
  // What it refuses (EBUSY: shared since a fork, or in use by the kernel) goes the other way.
  static_cast<void>(user_fault.Move(reinterpret_cast<uintptr_t>(frames_begin_), run[0]->address,
                                    count * kPageBytes, done));
  Count(record->mapping_ticks, Ticks() - begin_ticks);
  frames_ = static_cast<uint32_t>(done / kPageBytes);
  for (uint32_t i = 0; i < frames_; ++i) Seal(Frame(i), *run[i]);
  return frames_;
}

const std::byte* Residency::Plaintext(const PageRecord& page, const Mapping& mapping) {
  const bool readable =
      (mapping.protection & PROT_READ) != 0 && !mapping.has_key && !mapping.protection_unknown;
  if (readable) return reinterpret_cast<const std::byte*>(page.address);
  if (RawCall(SYS_pread64, memory_descriptor, AsLong(buffer_), kPageBytes, AsLong(page.address)) !=
      static_cast<long>(kPageBytes)) {
    Die(record, RunState::kRefused,
        "epcrun: a page without access cannot be evicted: /proc/self/mem does not give it");
  }
  return buffer_;
}

void Residency::CopyOut(PageRecord** run, uint32_t count, const Mapping& mapping) {
  const Range range{run[0]->address, run[0]->address + count * kPageBytes};
  const uint64_t protect_ticks = Ticks();
  // Whoever writes meanwhile gets a SIGBUS, waits for the lock and finds the page evicted.
  if (user_fault.WriteProtect(range, true) != 0) {
    // Linux before 6.4 protects within one of its own mappings only, of which these may be two.
    for (uint32_t i = 0; i < count; ++i) {
      const uintptr_t at = run[i]->address;
      EPC_CHECK(user_fault.WriteProtect({at, at + kPageBytes}, true) == 0);
    }
  }
  Count(record->mapping_ticks, Ticks() - protect_ticks);
  for (uint32_t i = 0; i < count; ++i) Seal(Plaintext(*run[i], mapping), *run[i]);
  const uint64_t drop_ticks = Ticks();
  const long dropped =
      RawCall(SYS_madvise, AsLong(range.begin), AsLong(range.end - range.begin), MADV_DONTNEED);
  Count(record->mapping_ticks, Ticks() - drop_ticks);
  EPC_CHECK(dropped == 0);
  resident_ -= count;
}

}  // namespace coracle::epc
