#include "characterize/analysis/trace_analysis.h"

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
  const uint64_t page = run.line / kLinesPerPage;
  Tally& tally = TallyOf(page, run.function);
  if (run.line - tally.first_line >= tally.line_count || tally.function != run.function) {
    OpenTally(tally, run);
  }
  if (page != page_) {
    EnterPage(page, tally, touches);
  } else {
    pages_.Touch(tally.page_id, page_kind_, touches);
  }
  now_ += touches;
  tally.last_at = now_ - 1;
  tally.volume.Add(run);
  if (tally.pins && run.writes != 0) {
    tally.pins = false;
    epc_.Pin(tally.page_id);
  }
  const auto within = static_cast<uint32_t>(run.line % kLinesPerPage);
  uint32_t& volume = line_bytes_[size_t{tally.page_id} * kLinesPerPage + within];
  const uint32_t bytes = uint32_t{run.read_bytes} + run.written_bytes;
  volume = volume > UINT32_MAX - bytes ? UINT32_MAX : volume + bytes;
  for (ReuseLevel& level : levels_) {
    const uint32_t per_page = kPageShift - level.shift();
    level.Touch(tally.page_id << per_page | within >> (level.shift() - kLineShift), tally.kind,
                touches);
  }
}

void TraceAnalysis::Consume(std::span<const AccessRun> runs) {
  for (const AccessRun& run : runs) Consume(run);
}

void TraceAnalysis::EnterPage(uint64_t page, const Tally& tally, uint64_t touches) {
  page_ = page;
  page_kind_ = tally.kind;
  PageState& state = page_states_[tally.page_id];
  MappingUse& use = uses_[Position(tally.mapping)];
  if (state.touched_at == WorkingSet::kNever) ++use.pages;
  const auto kind = static_cast<uint16_t>(1u << static_cast<unsigned>(tally.kind));
  if ((state.touched_kinds & kind) == 0) ++kinds_[static_cast<size_t>(tally.kind)].pages;
  state.touched_kinds |= kind;
  working_set_.Touch(state.touched_at, now_);
  state.touched_at = now_;
  const uint64_t distance = pages_.Touch(tally.page_id, tally.kind, touches);
  if (distance != kCold && distance != 0) use.returns.Add(distance);
  if (layers_.within()) layers_.Touch(tally.page_id, distance == kCold);
  if (tally.owner.block != ObjectMap::kNoBlock) {
    objects_.Touch(tally.owner, state.touched_block != tally.owner.block, distance, now_);
    state.touched_block = tally.owner.block;
  }
  const auto arrival = state.fresh ? EpcCaches::Arrival::kFirst : EpcCaches::Arrival::kAgain;
  state.fresh = false;
  if (!state.evictable) return;
  const uint32_t memories = epc_.Touch(tally.page_id, page, arrival);
  if (memories != 0) CountLoads(tally, memories);
}

void TraceAnalysis::CountLoads(const Tally& tally, uint32_t memories) {
  timeline_.Add(memories, now_);
  functions_.CountLoads(tally.function, memories);
  if (layers_.within()) layers_.CountLoads(memories);
  if (tally.owner.block != ObjectMap::kNoBlock) objects_.CountLoads(tally.owner, memories);
}

uint32_t TraceAnalysis::IdOf(uint64_t page) {
  const DenseIds::Found found = page_ids_.FindOrAdd(page);
  if (found.id >= page_states_.size()) {
    page_states_.resize(size_t{found.id} + found.id / 2 + 64);
    line_bytes_.resize(page_states_.size() * kLinesPerPage, 0);
  }
  if (found.added) NamePage(page, page_states_[found.id]);
  return found.id;
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

void TraceAnalysis::OpenTally(Tally& tally, const AccessRun& run) {
  CloseTally(tally);
  const uint64_t page = run.line / kLinesPerPage;
  tally.page_id = IdOf(page);
  PageState& state = page_states_[tally.page_id];
  if (state.owner_version != objects_.version()) {
    state.owner = objects_.OwnerOf(page);
    state.owner_version = objects_.version();
  }
  if (Position(state.mapping) >= uses_.size()) uses_.resize(map_.mappings().size());
  tally.owner = state.owner;
  tally.mapping = state.mapping;
  tally.function = run.function;
  tally.kind = state.kind;
  tally.first_line = page * kLinesPerPage;
  tally.line_count = kLinesPerPage;
  // epcrun's charges (emulator/pager/pager.h): anonymous memory may be evicted, and so may the data
  // of libraries, which Begin and Map have filled. Before Begin, such a page is charged once it was
  // written. All else lies outside.
  tally.pins = state.kind == MemoryKind::kProgramData && !state.evictable;
  if (regions_.empty()) return;
  const RegionMap::Stretch stretch = regions_.Find(run.line);
  const uint64_t end = std::min(tally.first_line + tally.line_count, stretch.first + stretch.count);
  tally.first_line = std::max(tally.first_line, stretch.first);
  tally.line_count = end - tally.first_line;
  if (stretch.named) tally.kind = stretch.kind;
}

void TraceAnalysis::CloseTally(Tally& tally) {
  tally.line_count = 0;
  if (tally.volume.accesses() == 0) return;
  uses_[Position(tally.mapping)].volume.Add(tally.volume);
  kinds_[static_cast<size_t>(tally.kind)].volume.Add(tally.volume);
  functions_.Count(tally.function, tally.volume);
  if (layers_.within()) layers_.Count(tally.kind, tally.volume);
  if (tally.owner.block != ObjectMap::kNoBlock) {
    objects_.Count(tally.owner, tally.function, tally.volume, tally.last_at);
  }
  tally.volume = {};
}

void TraceAnalysis::CloseTallies() {
  for (Tally& tally : tallies_) CloseTally(tally);
  page_ = kNoPage;
}

void TraceAnalysis::ConsumeKernel(uint64_t begin, uint64_t bytes, bool writes) {
  const uint64_t end = CheckedAdd(begin, bytes).value_or(UINT64_MAX);
  for (uint64_t at = begin; at < end; at = (at | (kLineBytes - 1)) + 1) {
    const auto part =
        static_cast<uint16_t>(std::min<uint64_t>(end - at, kLineBytes - at % kLineBytes));
    AccessRun run{at >> kLineShift, 0, 0, 0, 0, {}};
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
    const uint32_t id = IdOf(page);
    page_states_[id].fresh = false;
    epc_.Touch(id, page, EpcCaches::Arrival::kFilled);
  }
}

void TraceAnalysis::Unmap(uint64_t begin, uint64_t bytes) {
  Forget(begin, begin + bytes);
  map_.Remove(begin, begin + bytes);
}

void TraceAnalysis::Begin() {
  if (began_) return;
  began_ = true;
  CloseTallies();
  for (size_t i = 0; i < map_.mappings().size(); ++i) {
    const Mapping& mapping = map_.mappings()[i];
    if (mapping.kind != MemoryKind::kProgramData || mapping.anonymous) continue;
    // The loader has touched each; the emulator's own libraries are mapped too, and nobody has.
    if (i >= uses_.size() || uses_[i].pages == 0) continue;
    const uint64_t end = mapping.begin + mapping.bytes;
    for (uint64_t page = mapping.begin >> kPageShift; page < end >> kPageShift; ++page) {
      const MemoryMap::Piece* piece = map_.Find(page << kPageShift);
      if (piece == nullptr || Position(piece->mapping) != i) continue;
      page_states_[IdOf(page)].evictable = true;
    }
  }
  // It takes over what is there by its address.
  std::vector<uint64_t> pages = page_ids_.KeysBetween(0, UINT64_MAX);
  std::sort(pages.begin(), pages.end());
  for (const uint64_t page : pages) {
    const uint32_t id = page_ids_.Find(page);
    if (!page_states_[id].evictable) continue;
    page_states_[id].fresh = false;
    epc_.Remove(id);
    epc_.Touch(id, page, EpcCaches::Arrival::kFilled);
  }
}

void TraceAnalysis::Discard(uint64_t begin, uint64_t bytes) { Forget(begin, begin + bytes); }

void TraceAnalysis::SetBreak(uint64_t address) {
  const uint64_t before = map_.program_break().value_or(address);
  if (address < before) Forget(RoundUp(address, kPageBytes), RoundUp(before, kPageBytes));
  map_.SetBreak(address);
}

void TraceAnalysis::Move(uint64_t from, uint64_t from_bytes, uint64_t to, uint64_t to_bytes) {
  CloseTallies();
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
  CloseTallies();
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
  layers_.Forget(id);
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

void TraceAnalysis::Allocate(uint64_t address, uint64_t bytes, CallPathIndex path) {
  CloseTallies();
  objects_.Allocate(address, bytes, path, now_);
}

void TraceAnalysis::Free(uint64_t address) {
  CloseTallies();
  objects_.Free(address, now_);
}

void TraceAnalysis::SetRegions(const std::vector<Region>& regions) {
  CloseTallies();
  regions_.Set(regions);
}

void TraceAnalysis::BeginLayer(std::string_view name) {
  CloseTallies();
  layers_.Begin(name);
}

void TraceAnalysis::Restart() {
  CloseTallies();
  now_ = 0;
  kernel_accesses_ = 0;
  pages_peak_ = page_ids_.count();
  for (PageState& state : page_states_) {
    state.touched_at = WorkingSet::kNever;
    state.touched_block = ObjectMap::kNoBlock;
    state.touched_kinds = 0;
  }
  std::fill(line_bytes_.begin(), line_bytes_.end(), 0);
  forgotten_ = {};
  uses_.clear();
  kinds_ = {};
  marks_.clear();
  working_set_ = {};
  timeline_ = {};
  pages_.Restart();
  for (ReuseLevel& level : levels_) level.Restart();
  epc_.Restart();
  functions_.Restart();
  layers_.Restart();
  objects_.Restart();
}

void TraceAnalysis::AddMark(uint64_t label) {
  if (marks_.size() == kMarksMax) return;
  Mark mark{label, now_, epc_.first_touches(), {}};
  for (size_t i = 0; i < epc_.size(); ++i) mark.loads.push_back(epc_.counts(i).loads);
  marks_.push_back(std::move(mark));
}

}  // namespace coracle::characterize
