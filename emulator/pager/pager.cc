// The pager's life: made, taking over what there is, forked, taken down.
#include "emulator/pager/pager.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include <new>

#include "emulator/pager/fatal.h"
#include "emulator/pager/residency.h"

namespace coracle::epc {
namespace {

struct Whole {
  alignas(64) std::byte pager[64];
  alignas(64) std::byte residency[sizeof(Residency)];
};

uint64_t LimitPages(uint64_t bytes) { return bytes / kPageBytes; }

}  // namespace

Pager* Pager::Create(const Settings& settings, std::span<char> complaint) {
  static_assert(sizeof(Pager) <= sizeof(Whole::pager) && alignof(Residency) <= 64);
  if (LimitPages(settings.record->limit_bytes) < kLimitPagesMin) {
    Line line("epcrun: --size is less than the least that works, ");
    line.AddNumber(kLimitPagesMin * kPageBytes / 1024).Add(" KiB");
    CopyText(complaint, line.text());
    return nullptr;
  }
  auto* whole = static_cast<Whole*>(MapOwn(sizeof(Whole)));
  if (whole == nullptr) {
    CopyText(complaint, "epcrun: no memory for the pager's tables");
    return nullptr;
  }
  auto* pager = new (whole->pager) Pager;
  pager->residency_ = new (whole->residency) Residency;
  const char* refused = pager->residency_->Init(settings.record, settings.moves == Moves::kMove);
  if (refused != nullptr) {
    CopyText(complaint, Line("epcrun: ").Add(refused).text());
    pager->residency_->Free();
    UnmapOwn(whole, sizeof(Whole));
    return nullptr;
  }
  pager->SetLimit(settings.record->limit_bytes);
  pager->residency_->Publish();
  return pager;
}

void Pager::Destroy() {
  Residency& r = *residency_;
  for (const Mapping* at = r.mappings.FirstEndingPast(0); at != nullptr && at != r.mappings.end();
       ++at) {
    if (at->kind != Kind::kPaged) continue;
    r.pages.ForEach(at->begin, at->end, [&](const PageRecord& page) {
      if (page.state != PageState::kSealed) return;
      EPC_CHECK(r.BringIn(page.address, nullptr) == Residency::Brought::kPresent);
    });
    r.user_fault.Unregister({at->begin, at->end});
  }
  r.Free();
  UnmapOwn(this, sizeof(Whole));
}

void Pager::SetLimit(uint64_t bytes) {
  residency_->limit_pages.store(LimitPages(bytes), std::memory_order_relaxed);
}

uint64_t Pager::ShrinkTo(uint64_t bytes) {
  const LockHeld held(residency_->lock);
  residency_->ShrinkTo(LimitPages(bytes));
  residency_->Publish();
  return residency_->resident() * kPageBytes;
}

uint64_t Pager::resident_bytes() const {
  const LockHeld held(residency_->lock);
  return residency_->resident() * kPageBytes;
}

bool Pager::Adopt(Range range, int protection, Charge charge) {
  Residency& r = *residency_;
  const LockHeld held(r.lock);
  Mapping mapping{.begin = range.begin, .end = range.end};
  mapping.grows_down = (protection & PROT_GROWSDOWN) != 0;
  mapping.protection = protection & ~(PROT_GROWSDOWN | PROT_GROWSUP);
  mapping.charge = charge;
  if (r.user_fault.Register(range) != 0) {
    mapping.kind = Kind::kOutside;
    r.mappings.Add(mapping);
    return false;
  }
  r.mappings.Add(mapping);
  const long opened = RawCall(SYS_openat, AT_FDCWD, AsLong("/proc/self/pagemap"), O_RDONLY);
  if (IsError(opened)) {
    Die(r.record, RunState::kRefused, "epcrun: /proc/self/pagemap is not to be read");
  }
  // Bits of Documentation/admin-guide/mm/pagemap.rst: present, swapped.
  constexpr uint64_t kThere = uint64_t{3} << 62;
  uint64_t entries[64];
  for (uintptr_t at = range.begin; at < range.end;) {
    const uint64_t wanted = (range.end - at) / kPageBytes;
    const uint64_t count = wanted < 64 ? wanted : 64;
    const long got = RawCall(SYS_pread64, opened, AsLong(entries), AsLong(count * 8),
                             AsLong(at / kPageBytes * 8));
    if (got <= 0) Die(r.record, RunState::kRefused, "epcrun: /proc/self/pagemap is not to be read");
    for (uint64_t i = 0; i < static_cast<uint64_t>(got) / 8; ++i, at += kPageBytes) {
      if ((entries[i] & kThere) != 0) r.TakeOver(at, *r.mappings.Find(at));
    }
    if (r.resident() > r.limit_pages.load()) r.ShrinkTo(r.limit_pages.load());
  }
  RawCall(SYS_close, opened);
  r.Publish();
  return true;
}

void Pager::NoteOther(Range range, int protection, bool is_private_file) {
  const LockHeld held(residency_->lock);
  Mapping mapping{.begin = range.begin, .end = range.end, .protection = protection};
  mapping.kind = is_private_file && (protection & PROT_WRITE) == 0 ? Kind::kCode : Kind::kOutside;
  residency_->mappings.Add(mapping);
  residency_->Publish();
}

void Pager::ChargePinned(uint64_t bytes) {
  const LockHeld held(residency_->lock);
  residency_->ChargePinned(PageUp(bytes) / kPageBytes);
  residency_->ShrinkTo(residency_->limit_pages.load());
  residency_->Publish();
}

void Pager::BeforeFork() { residency_->lock.Acquire(); }

void Pager::AfterForkInParent() { residency_->lock.Release(); }

void Pager::AfterForkInChild() {
  residency_->BeginAnew();
  residency_->lock.Release();
}

std::span<std::byte> Pager::store() {
  const LockHeld held(residency_->lock);
  return residency_->store.bytes();
}

int64_t Pager::StoreSlotOf(uintptr_t address) const {
  const LockHeld held(residency_->lock);
  const PageRecord* page = residency_->pages.Find(address);
  const bool is_sealed = page != nullptr && page->state == PageState::kSealed;
  return is_sealed ? int64_t{page->slot} : -1;
}

bool Pager::OwnsDescriptor(int descriptor) const {
  return descriptor >= 0 && (descriptor == residency_->user_fault.descriptor() ||
                             descriptor == residency_->memory_descriptor);
}

}  // namespace coracle::epc
