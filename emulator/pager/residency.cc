// How pages come: first touches, loads, memory that was there before; and how the books are kept.
#include "emulator/pager/residency.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "emulator/pager/fatal.h"

namespace coracle::epc {
namespace {

constexpr uint64_t kFramesBytes = kBatchPages * kPageBytes;
// How far below a stack's mapping a touch may still be its growth.
constexpr uint64_t kStackGrowthMax = uint64_t{1} << 30;

}  // namespace

const char* Residency::Init(RunRecord* run, bool use_moves) {
  record = run;
  pages.Init(&memory_);
  buffer_ = static_cast<std::byte*>(MapOwn(kPageBytes));
  zeros_ = static_cast<std::byte*>(MapOwn(kFramesBytes));
  frames_begin_ = static_cast<std::byte*>(MapOwn(kFramesBytes));
  if (buffer_ == nullptr || zeros_ == nullptr || frames_begin_ == nullptr || !mappings.Init()) {
    return "no memory for the pager's tables";
  }
  const char* refused = store.Init();
  if (refused != nullptr) return refused;
  const long opened = user_fault.Open();
  if (opened == -EPERM) {
    return "userfaultfd is forbidden here: allow userfaultfd(2) in the container's seccomp profile";
  }
  if (opened != 0) return "this kernel has no userfaultfd (Linux 5.11, CONFIG_USERFAULTFD)";
  const auto frames = reinterpret_cast<uintptr_t>(frames_begin_);
  if (user_fault.Register({frames, frames + kFramesBytes}) != 0) {
    return "userfaultfd does not take memory of this kernel";
  }
  use_moves_ = use_moves && user_fault.has_move();
  const long opened_memory =
      RawCall(SYS_openat, AT_FDCWD, AsLong("/proc/self/mem"), O_RDWR | O_CLOEXEC);
  if (!IsError(opened_memory)) memory_descriptor = RaiseDescriptor(static_cast<int>(opened_memory));
  program_break = static_cast<uintptr_t>(RawCall(SYS_brk, 0));
  return nullptr;
}

void Residency::Free() {
  user_fault.Close();
  if (memory_descriptor >= 0) RawCall(SYS_close, memory_descriptor);
  store.Free();
  mappings.Free();
  memory_.FreeAll();
  UnmapOwn(buffer_, kPageBytes);
  UnmapOwn(zeros_, kFramesBytes);
  UnmapOwn(frames_begin_, kFramesBytes);
  if (child_record_ != nullptr) UnmapOwn(child_record_, PageUp(sizeof(RunRecord)));
}

void Residency::BeginAnew() {
  // What is inherited of these stands for the parent's memory.
  user_fault.Close();
  if (memory_descriptor >= 0) RawCall(SYS_close, memory_descriptor);
  limit_pages.store(kUnlimited / kPageBytes, std::memory_order_relaxed);
  child_record_ = static_cast<RunRecord*>(MapOwn(PageUp(sizeof(RunRecord))));
  if (child_record_ == nullptr) Die(nullptr, RunState::kRefused, "epcrun: child: no memory");
  record = child_record_;
  if (user_fault.Open() != 0) Die(nullptr, RunState::kRefused, "epcrun: child: no userfaultfd");
  const long opened = RawCall(SYS_openat, AT_FDCWD, AsLong("/proc/self/mem"), O_RDWR | O_CLOEXEC);
  memory_descriptor = IsError(opened) ? -1 : RaiseDescriptor(static_cast<int>(opened));
  DropFrames();
  for (const Mapping* at = mappings.FirstEndingPast(0); at != nullptr;) {
    const Mapping mapping = *at;
    if (mapping.gone_on_fork) {
      Forget({mapping.begin, mapping.end});
    } else if (mapping.wiped_on_fork) {
      DropPages({mapping.begin, mapping.end});
    }
    at = mappings.FirstEndingPast(mapping.end - 1);
    if (at != nullptr && at->end == mapping.end) at = mappings.FirstEndingPast(mapping.end);
  }
  const auto frames = reinterpret_cast<uintptr_t>(frames_begin_);
  if (!RegisterAll({0, UINTPTR_MAX}) || user_fault.Register({frames, frames + kFramesBytes}) != 0) {
    Die(nullptr, RunState::kRefused, "epcrun: child: its memory cannot be registered");
  }
}

const Mapping* Residency::MappingOf(uintptr_t address) {
  const Mapping* mapping = mappings.FirstEndingPast(address);
  if (mapping == nullptr || mapping->kind != Kind::kPaged) return nullptr;
  if (mapping->begin <= address) return mapping;
  // A stack that has grown: the kernel has extended its mapping, registration and all.
  if (!mapping->grows_down || mapping->begin - address > kStackGrowthMax) return nullptr;
  unsigned char present = 0;
  const uintptr_t page = PageDown(address);
  if (IsError(RawCall(SYS_mincore, AsLong(page), kPageBytes, AsLong(&present)))) return nullptr;
  mappings.GrowDown(mapping->begin, page);
  return mappings.Find(address);
}

bool Residency::GrowStack(uintptr_t address) {
  const Mapping* mapping = mappings.FirstEndingPast(address);
  if (mapping == nullptr || !mapping->grows_down) return false;
  // Any call that reads there makes the kernel extend the stack, or fails.
  RawCall(SYS_access, AsLong(address), 0);
  return MappingOf(address) != nullptr;
}

Residency::Brought Residency::BringIn(uintptr_t address, ThreadCounters* thread) {
  const Mapping* mapping = MappingOf(address);
  if (mapping == nullptr) return Brought::kNotOurs;
  PageRecord* page = pages.FindOrMake(address);
  if (page == nullptr) return Brought::kNotOurs;
  thread_ = thread;
  switch (page->state) {
    case PageState::kUntouched:
      return ZeroFill(*page, *mapping);
    case PageState::kPresent:
      return Refresh(*page);
    case PageState::kSealed:
      return Load(*page, *mapping);
  }
  return Brought::kNotOurs;
}

Residency::Brought Residency::Refused(long error, uintptr_t address) {
  // ENOENT and the like: the program has unmapped it by a way that we did not see.
  if (error != -ENOMEM && error != -EEXIST) return Brought::kNotOurs;
  Line line("epcrun: ");
  line.Add(error == -ENOMEM ? "the machine is out of memory" : "a page is where none should be")
      .Add(" (page ")
      .AddHex(address)
      .Add(")");
  Die(record, RunState::kRefused, line.text());
}

Residency::Brought Residency::Refresh(const PageRecord& page) {
  // Usually another thread has brought it meanwhile. If the kernel has none there, for it was
  // dropped by a way that we did not see, then it reads as zeros.
  uint64_t done = 0;
  const long result = user_fault.Copy(page.address, zeros_, kPageBytes, done);
  if (result != 0 && result != -EEXIST) return Refused(result, page.address);
  return Brought::kPresent;
}

long Residency::Place(uintptr_t address, bool by_move) {
  uint64_t done = 0;
  const uint64_t begin_ticks = Ticks();
  long result = 0;
  if (by_move) {
    std::byte* frame = Frame(frames_ - 1);
    result = user_fault.Move(address, reinterpret_cast<uintptr_t>(frame), kPageBytes, done);
    if (result == 0) {
      --frames_;
      --resident_;
    } else {
      __builtin_memcpy(buffer_, frame, kPageBytes);
      DropFrames();
      by_move = false;
    }
  }
  if (!by_move && done == 0) result = user_fault.Copy(address, buffer_, kPageBytes, done);
  Count(record->mapping_ticks, Ticks() - begin_ticks);
  return result;
}

Residency::Brought Residency::Load(PageRecord& page, const Mapping& mapping) {
  const bool movable = IsMovable(mapping);
  const uint64_t begin_ticks = Ticks();
  const uint64_t evictions_before = record->evictions.load(std::memory_order_relaxed);
  if (!Reserve(movable)) return Brought::kNoRoom;
  const bool evicts = frames_ != 0 || resident_ + kBatchPages >= limit_pages.load();
  const bool evicted = record->evictions.load(std::memory_order_relaxed) != evictions_before;
  const uint64_t open_ticks = Ticks();
  const bool by_move = movable && frames_ != 0;
  if (!store.Open(page, by_move ? Frame(frames_ - 1) : buffer_)) {
    Line line("epcrun: an evicted page did not open: host memory was changed, exchanged or ");
    line.Add("replayed (page ").AddHex(page.address).Add(")");
    Die(record, RunState::kTampered, line.text());
  }
  Count(record->crypto_ticks, Ticks() - open_ticks);
  const long result = Place(page.address, by_move);
  if (result != 0) return Refused(result, page.address);
  store.Forget(page);
  --sealed_;
  NowPresent(page, mapping, store.evictions() - page.version);
  Count(record->loads);
  Count(record->opened_bytes, kPageBytes);
  if (thread_ != nullptr) Count(thread_->loads);
  if (evicts) Charge(evicted ? begin_ticks : begin_ticks - eviction_ticks_);
  return Brought::kPresent;
}

void Residency::Charge(uint64_t begin_ticks) {
  if (record->charge_cycles == 0) return;
  const uint64_t spin_begin = Ticks();
  while (Ticks() - begin_ticks < record->charge_cycles) __builtin_ia32_pause();
  Count(record->charged_ticks, Ticks() - spin_begin);
}

uint64_t Residency::FillCount(const PageRecord& page, const Mapping& mapping) const {
  const uint64_t limit = limit_pages.load(std::memory_order_relaxed);
  if (resident_ + kBatchPages > limit / 2) return 1;
  // As many as lie before it, so that what is never touched stays less than what was.
  uint64_t before = 0;
  for (; before < kBatchPages; ++before) {
    const uintptr_t address = page.address - (before + 1) * kPageBytes;
    if (address < mapping.begin) break;
    const PageRecord* other = pages.Find(address);
    if (other == nullptr || other->state != PageState::kPresent) break;
  }
  uint64_t count = 1;
  for (; count < before; ++count) {
    const uintptr_t address = page.address + count * kPageBytes;
    if (address >= mapping.end) break;
    const PageRecord* other = pages.Find(address);
    if (other != nullptr && other->state != PageState::kUntouched) break;
  }
  return count;
}

Residency::Brought Residency::ZeroFill(PageRecord& page, const Mapping& mapping) {
  const bool movable = IsMovable(mapping);
  if (!Reserve(movable)) return Brought::kNoRoom;
  const bool by_move = movable && frames_ != 0;
  uint64_t filled = 1;
  long result = 0;
  if (by_move) {
    __builtin_memset(Frame(frames_ - 1), 0, kPageBytes);
    __builtin_memset(buffer_, 0, kPageBytes);
    result = Place(page.address, true);
  } else {
    const uint64_t begin_ticks = Ticks();
    uint64_t done = 0;
    result = user_fault.Copy(page.address, zeros_, FillCount(page, mapping) * kPageBytes, done);
    // What is one mapping here may be two for the kernel, and no copy crosses from one to the
    // other.
    if (done == 0) result = user_fault.Copy(page.address, zeros_, kPageBytes, done);
    Count(record->mapping_ticks, Ticks() - begin_ticks);
    filled = done / kPageBytes;
    if (filled != 0) result = 0;
  }
  // A page that the kernel had without our knowing is as good as a new one.
  if (result != 0 && result != -EEXIST) return Refused(result, page.address);
  NowPresent(page, mapping);
  for (uint64_t i = 1; i < filled; ++i) {
    PageRecord* next = pages.FindOrMake(page.address + i * kPageBytes);
    if (next == nullptr) return Refused(-ENOMEM, page.address);
    NowPresent(*next, mapping);
  }
  Count(record->zero_fills, filled);
  if (thread_ != nullptr) Count(thread_->zero_fills, filled);
  return Brought::kPresent;
}

bool Residency::FillFromFile(uintptr_t address, int descriptor, int64_t offset) {
  const Mapping* mapping = mappings.Find(address);
  PageRecord* page = pages.FindOrMake(address);
  EPC_CHECK(mapping != nullptr && page != nullptr && page->state == PageState::kUntouched);
  // Room first: an eviction may use the buffer.
  if (!Reserve(false)) return false;
  uint64_t got = 0;
  while (got < kPageBytes) {
    const long read = RawCall(SYS_pread64, descriptor, AsLong(buffer_ + got),
                              AsLong(kPageBytes - got), offset + static_cast<int64_t>(got));
    if (read == -EINTR) continue;
    if (read < 0) return false;
    if (read == 0) break;
    got += static_cast<uint64_t>(read);
  }
  __builtin_memset(buffer_ + got, 0, kPageBytes - got);
  if (Place(address, false) != 0) return false;
  NowPresent(*page, *mapping);
  return true;
}

void Residency::TakeOver(uintptr_t address, const Mapping& mapping) {
  PageRecord* page = pages.FindOrMake(address);
  if (page == nullptr) Die(record, RunState::kRefused, "epcrun: no memory for the page table");
  NowPresent(*page, mapping);
}

void Residency::NowPresent(PageRecord& page, const Mapping& mapping, uint64_t refault_distance) {
  page.state = PageState::kPresent;
  ++resident_;
  if (mapping.charge == Charge::kPinned) {
    page.pinned = true;
    ++pinned_;
  } else if (page.holds != 0) {
    ++held_;
  } else {
    order_.AddLoaded(page, refault_distance, limit_pages.load(std::memory_order_relaxed));
  }
}

void Residency::ChargePinned(uint64_t count) {
  resident_ += count;
  pinned_ += count;
}

void Residency::AddHold(PageRecord& page) {
  EPC_CHECK(page.state == PageState::kPresent && page.holds != UINT16_MAX);
  if (page.holds++ == 0 && !page.pinned) ++held_;
}

void Residency::DropHold(PageRecord& page) {
  // Holds belong to addresses: the page may have been dropped, sealed never.
  if (page.holds == 0 || --page.holds != 0) return;
  if (page.state != PageState::kPresent || page.pinned) return;
  --held_;
  if (!page.queued) order_.AddFresh(page);
}

void Residency::DropPage(PageRecord& page) {
  if (page.state == PageState::kPresent) {
    --resident_;
    if (page.queued) order_.Remove(page);
    if (page.pinned) {
      page.pinned = false;
      --pinned_;
    } else if (page.holds != 0) {
      --held_;
    }
  } else if (page.state == PageState::kSealed) {
    store.Forget(page);
    --sealed_;
  }
  page.state = PageState::kUntouched;
}

void Residency::DropPages(Range range) {
  pages.ForEach(range.begin, range.end, [this](PageRecord& page) { DropPage(page); });
}

void Residency::Forget(Range range) {
  DropPages(range);
  mappings.Erase(range);
}

void Residency::MovePages(uintptr_t from, uint64_t bytes, uintptr_t to) {
  pages.ForEach(from, from + bytes, [&](PageRecord& page) {
    if (page.state == PageState::kUntouched) return;
    PageRecord* moved = pages.FindOrMake(page.address - from + to);
    if (moved == nullptr) Die(record, RunState::kRefused, "epcrun: no memory for the page table");
    moved->state = page.state;
    moved->slot = page.slot;
    moved->version = page.version;
    moved->sealed_address = page.sealed_address;
    __builtin_memcpy(moved->tag, page.tag, sizeof(page.tag));
    if (page.state == PageState::kPresent) {
      moved->pinned = page.pinned;
      // Holds stay with the address.
      if (page.holds != 0 && !page.pinned) --held_;
      if (moved->holds != 0 && !page.pinned) ++held_;
      if (page.queued) {
        order_.Replace(page, *moved);
      } else if (!page.pinned && moved->holds == 0) {
        order_.AddFresh(*moved);
      }
    }
    page.pinned = false;
    page.state = PageState::kUntouched;
  });
}

bool Residency::RegisterAll(Range range) {
  const Mapping* at = mappings.FirstEndingPast(range.begin);
  for (; at != nullptr && at != mappings.end() && at->begin < range.end; ++at) {
    if (at->kind != Kind::kPaged) continue;
    const Range piece{at->begin > range.begin ? at->begin : range.begin,
                      at->end < range.end ? at->end : range.end};
    if (user_fault.Register(piece) != 0) return false;
  }
  return true;
}

void Residency::NoteProgress(bool is_served) {
  constexpr uint64_t kStuckTicks = uint64_t{1} << 36;  // half a minute at 2 GHz
  if (is_served) {
    stuck_since_ = 0;
    return;
  }
  if (stuck_since_ == 0) stuck_since_ = Ticks();
  // What is held may be released; what is pinned stays.
  if (held_ != 0 && Ticks() - stuck_since_ < kStuckTicks) return;
  Die(record, RunState::kRefused,
      "epcrun: pages that cannot be evicted fill --size: it must be larger");
}

uint64_t Residency::room_for_holds() const {
  const uint64_t taken = pinned_ + held_ + kBatchPages + 1 + kNeverHeldPages;
  const uint64_t limit = limit_pages.load(std::memory_order_relaxed);
  return limit > taken ? limit - taken : 0;
}

void Residency::Publish() {
  const uint64_t resident_bytes = resident_ * kPageBytes;
  const uint64_t wanted_bytes = (resident_ - frames_ - 1 + sealed_) * kPageBytes;
  record->resident_bytes.store(resident_bytes, std::memory_order_relaxed);
  if (resident_bytes > record->resident_peak_bytes.load(std::memory_order_relaxed)) {
    record->resident_peak_bytes.store(resident_bytes, std::memory_order_relaxed);
  }
  record->pinned_bytes.store((pinned_ + held_) * kPageBytes, std::memory_order_relaxed);
  record->wanted_bytes.store(wanted_bytes, std::memory_order_relaxed);
  if (wanted_bytes > record->peak_wanted_bytes.load(std::memory_order_relaxed)) {
    record->peak_wanted_bytes.store(wanted_bytes, std::memory_order_relaxed);
  }
  record->code_bytes.store(mappings.bytes_of(Kind::kCode), std::memory_order_relaxed);
  record->outside_bytes.store(mappings.bytes_of(Kind::kOutside), std::memory_order_relaxed);
  record->runtime_bytes.store(memory_.taken_bytes(), std::memory_order_relaxed);
}

}  // namespace coracle::epc
