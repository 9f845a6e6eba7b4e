#include "characterize/trace_analysis.h"

#include <algorithm>

#include "base/check.h"
#include "base/checked.h"

namespace coracle::characterize {
namespace {

std::vector<uint64_t> InPages(const std::vector<uint64_t>& bytes) {
  std::vector<uint64_t> pages;
  pages.reserve(bytes.size());
  for (const uint64_t size : bytes) pages.push_back(size >> kPageShift);
  return pages;
}

}  // namespace

TraceAnalysis::TraceAnalysis(const Settings& settings)
    : settings_(settings),
      pages_(kPageShift, 1),
      epc_(InPages(settings.epc_bytes), settings.run_pages_max) {
  for (const uint32_t shift : settings.shifts) {
    CORACLE_CHECK(shift >= kLineShift && shift < kPageShift);
    levels_.emplace_back(shift, settings.sample_rate);
  }
}

void TraceAnalysis::Consume(const AccessRun& run) {
  const uint64_t touches = uint64_t{run.reads} + run.writes;
  if (touches == 0) return;
  if (run.line / kLinesPerPage != page_) EnterPage(run.line / kLinesPerPage);
  now_ += touches;
  page_touches_ += touches;
  page_volume_.reads += run.reads;
  page_volume_.writes += run.writes;
  page_volume_.read_bytes += run.read_bytes;
  page_volume_.written_bytes += run.written_bytes;
  if (page_pins_ && run.writes != 0) {
    page_pins_ = false;
    epc_.Pin(page_id_);
  }
  const auto within = static_cast<uint32_t>(run.line % kLinesPerPage);
  uint32_t& volume = line_bytes_[size_t{page_id_} * kLinesPerPage + within];
  const uint32_t bytes = uint32_t{run.read_bytes} + run.written_bytes;
  volume = volume > UINT32_MAX - bytes ? UINT32_MAX : volume + bytes;
  for (ReuseLevel& level : levels_) {
    const uint32_t per_page = kPageShift - level.shift();
    level.Touch(page_id_ << per_page | within >> (level.shift() - kLineShift), page_kind_, touches);
  }
}

DenseIds::Found TraceAnalysis::IdOf(uint64_t page) {
  const DenseIds::Found found = page_ids_.FindOrAdd(page);
  if (found.id >= page_states_.size()) {
    page_states_.resize(size_t{found.id} + found.id / 2 + 64);
    line_bytes_.resize(page_states_.size() * kLinesPerPage, 0);
  }
  if (found.added) NamePage(page, page_states_[found.id]);
  return found;
}

void TraceAnalysis::EnterPage(uint64_t page) {
  LeavePage();
  const DenseIds::Found found = IdOf(page);
  page_ = page;
  page_id_ = found.id;
  PageState& state = page_states_[found.id];
  if (state.touched_at == WorkingSet::kNever) {
    if (Position(state.mapping) >= uses_.size()) uses_.resize(map_.mappings().size());
    ++uses_[Position(state.mapping)].pages;
  }
  page_kind_ = state.kind;
  working_set_.Touch(state.touched_at, now_);
  state.touched_at = now_;
  // epcrun's charges (emulator/pager/pager.h): anonymous memory may be evicted; of the libraries
  // that are there when it takes over, a page that was written is charged for good; data of later
  // ones was filled by Map; all else lies outside.
  page_pins_ = state.kind == MemoryKind::kProgramData && !state.evictable;
  if (!state.evictable) return;
  epc_.Touch(found.id, page, found.added ? EpcCaches::Arrival::kFirst : EpcCaches::Arrival::kAgain);
}

void TraceAnalysis::NamePage(uint64_t page, PageState& state) {
  const MemoryMap::Piece* piece = map_.Find(page << kPageShift);
  state = {};
  state.mapping = piece == nullptr ? MemoryMap::kUnknownMapping : piece->mapping;
  state.kind = map_.mapping(state.mapping).kind;
  const Mapping& mapping = map_.mapping(state.mapping);
  state.evictable = (mapping.anonymous && mapping.kind != MemoryKind::kShared) || mapping.filled;
  pages_peak_ = std::max(pages_peak_, page_ids_.count());
}

void TraceAnalysis::LeavePage() {
  if (page_touches_ == 0) return;
  MappingUse& use = uses_[Position(page_states_[page_id_].mapping)];
  use.volume.reads += page_volume_.reads;
  use.volume.writes += page_volume_.writes;
  use.volume.read_bytes += page_volume_.read_bytes;
  use.volume.written_bytes += page_volume_.written_bytes;
  const uint64_t distance = pages_.Touch(page_id_, page_kind_, page_touches_);
  if (distance != kCold && distance != 0) use.returns.Add(distance);
  page_touches_ = 0;
  page_volume_ = {};
}

void TraceAnalysis::ConsumeKernel(uint64_t begin, uint64_t bytes, bool writes) {
  const uint64_t end = CheckedAdd(begin, bytes).value_or(UINT64_MAX);
  for (uint64_t at = begin; at < end; at = (at | (kLineBytes - 1)) + 1) {
    const auto part =
        static_cast<uint16_t>(std::min<uint64_t>(end - at, kLineBytes - at % kLineBytes));
    AccessRun run{at >> kLineShift, 0, 0, 0, 0};
    (writes ? run.writes : run.reads) = 1;
    (writes ? run.written_bytes : run.read_bytes) = part;
    Consume(run);
    ++kernel_accesses_;
  }
}

void TraceAnalysis::Map(Mapping mapping) {
  const uint64_t begin = mapping.begin;
  const uint64_t end = begin + mapping.bytes;
  Forget(begin, end);
  mapping.filled = began_ && mapping.kind == MemoryKind::kProgramData && !mapping.anonymous;
  const bool filled = mapping.filled;
  map_.Add(std::move(mapping));
  for (uint64_t page = begin >> kPageShift; filled && page < end >> kPageShift; ++page) {
    epc_.Touch(IdOf(page).id, page, EpcCaches::Arrival::kFilled);
  }
}

void TraceAnalysis::Unmap(uint64_t begin, uint64_t bytes) {
  Forget(begin, begin + bytes);
  map_.Remove(begin, begin + bytes);
}

void TraceAnalysis::Discard(uint64_t begin, uint64_t bytes) { Forget(begin, begin + bytes); }

void TraceAnalysis::SetBreak(uint64_t address) {
  const uint64_t before = map_.program_break().value_or(address);
  if (address < before) Forget(RoundUp(address, kPageBytes), RoundUp(before, kPageBytes));
  map_.SetBreak(address);
}

void TraceAnalysis::Move(uint64_t from, uint64_t from_bytes, uint64_t to, uint64_t to_bytes) {
  LeavePage();
  page_ = UINT64_MAX;
  if (from != to) {
    Forget(to, to + to_bytes);
    for (uint64_t offset = 0; offset < std::min(from_bytes, to_bytes); offset += kPageBytes) {
      const uint64_t page = (from + offset) >> kPageShift;
      if (page_ids_.Find(page) == DenseIds::kNone) continue;
      page_ids_.Rename(page, (to + offset) >> kPageShift);
    }
  }
  if (to_bytes < from_bytes) Forget(from + to_bytes, from + from_bytes);
  map_.Move(from, from_bytes, to, to_bytes);
}

void TraceAnalysis::Forget(uint64_t begin, uint64_t end) {
  LeavePage();
  page_ = UINT64_MAX;
  const uint64_t first = begin >> kPageShift;
  const uint64_t last = RoundUp(end, kPageBytes) >> kPageShift;
  // A huge reservation has few pages that were touched.
  if (last - first > page_ids_.count() * 4) {
    for (const uint64_t page : page_ids_.KeysBetween(first, last)) ForgetPage(page);
  } else {
    for (uint64_t page = first; page < last; ++page) ForgetPage(page);
  }
}

void TraceAnalysis::ForgetPage(uint64_t page) {
  const uint32_t id = page_ids_.Remove(page);
  if (id == DenseIds::kNone) return;
  pages_.Remove(id);
  epc_.Remove(id);
  for (ReuseLevel& level : levels_) {
    const uint32_t per_page = kPageShift - level.shift();
    for (uint32_t i = 0; i < 1u << per_page; ++i) level.Remove(id << per_page | i);
  }
  for (uint32_t i = 0; i < kLinesPerPage; ++i) {
    CountLine(line_bytes_[size_t{id} * kLinesPerPage + i], forgotten_);
    line_bytes_[size_t{id} * kLinesPerPage + i] = 0;
  }
}

void TraceAnalysis::CountLine(uint32_t bytes, LineUse& use) {
  if (bytes == 0) return;
  ++(bytes <= kLineBytes ? use.once : bytes <= 2 * kLineBytes ? use.twice : use.many);
}

TraceAnalysis::LineUse TraceAnalysis::line_use() const {
  LineUse use = forgotten_;
  for (const uint32_t bytes : line_bytes_) CountLine(bytes, use);
  return use;
}

void TraceAnalysis::AddMark(uint64_t label) {
  if (marks_.size() == kMarksMax) return;
  Mark mark{label, now_, epc_.first_touches(), {}};
  for (size_t i = 0; i < epc_.size(); ++i) mark.loads.push_back(epc_.counts(i).loads);
  marks_.push_back(std::move(mark));
}

}  // namespace coracle::characterize
