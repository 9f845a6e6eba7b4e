#include "characterize/analysis/trace_notes.h"

#include <sys/syscall.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "base/checked.h"
#include "characterize/program/program_memory.h"

namespace coracle::characterize {
namespace {

/// The largest blocks that each count of TraceSmallAllocations holds.
constexpr uint64_t kSmallBytesMax[] = {16, 64, 256, 1024, kTraceAllocationBytesLeast - 1};

bool KindOf(TraceRegionKind said, MemoryKind& kind) {
  switch (said) {
    case TraceRegionKind::kWeights:
      kind = MemoryKind::kWeights;
      return true;
    case TraceRegionKind::kActivations:
      kind = MemoryKind::kActivations;
      return true;
    case TraceRegionKind::kWorkspace:
      kind = MemoryKind::kWorkspace;
      return true;
  }
  return false;
}

/// By address and apart from one another: of two that overlap, the one that begins first.
std::vector<TraceAnalysis::Region> ReadRegions(uint64_t address, uint64_t count) {
  if (count == 0 || count > TraceNotes::kRegionsMax) return {};
  std::vector<TraceRegion> told(count);
  const size_t bytes = told.size() * sizeof(TraceRegion);
  if (CopyFromProgram(address, told.data(), bytes) != bytes) return {};
  std::stable_sort(told.begin(), told.end(),
                   [](const TraceRegion& a, const TraceRegion& b) { return a.begin < b.begin; });
  std::vector<TraceAnalysis::Region> regions;
  uint64_t end = 0;
  for (const TraceRegion& one : told) {
    TraceAnalysis::Region region{one.begin, one.bytes, {}};
    const auto region_end = CheckedAdd(one.begin, one.bytes);
    if (!region_end || one.bytes == 0 || one.begin < end || !KindOf(one.kind, region.kind)) {
      continue;
    }
    end = *region_end;
    regions.push_back(region);
  }
  return regions;
}

TraceNote NoteOf(const SystemCall& call) { return static_cast<TraceNote>(call.arguments[1]); }

}  // namespace

bool TraceNotes::IsNote(const SystemCall& call) {
  return call.number == SYS_prctl && call.arguments[0] == uint64_t{kTraceNoteCall};
}

bool TraceNotes::NeedsPath(const SystemCall& note) { return NoteOf(note) == TraceNote::kAllocated; }

bool TraceNotes::NamesFunction(const SystemCall& note) { return NoteOf(note) == TraceNote::kNamed; }

void TraceNotes::Take(const SystemCall& note, CallPathIndex path, TraceAnalysis& analysis) {
  const uint64_t a = note.arguments[2];
  const uint64_t b = note.arguments[3];
  switch (NoteOf(note)) {
    case TraceNote::kAllocated:
      if (b > 0 && CheckedAdd(a, b)) analysis.Allocate(a, b, path);
      return;
    case TraceNote::kFreed:
      return analysis.Free(a);
    case TraceNote::kSmall:
      small_address_ = a;
      return;
    case TraceNote::kRegions:
      return analysis.SetRegions(ReadRegions(a, b));
    case TraceNote::kNamed:
      return;
    case TraceNote::kLayer:
      return analysis.BeginLayer(TextFromProgram(a, kNameBytesMax));
  }
}

TraceSmallAllocations TraceNotes::ReadSmall() const {
  TraceSmallAllocations small;
  if (small_address_ == 0 ||
      CopyFromProgram(small_address_, &small, sizeof(small)) != sizeof(small)) {
    return {};
  }
  return small;
}

Json TraceNotes::SmallAllocationsJson() const {
  Json json = Json::array();
  const TraceSmallAllocations now = ReadSmall();
  for (size_t i = 0; i < std::size(kSmallBytesMax); ++i) {
    const uint64_t count = now.count[i] - std::min(now.count[i], small_before_.count[i]);
    const uint64_t bytes = now.bytes[i] - std::min(now.bytes[i], small_before_.bytes[i]);
    if (count != 0) {
      json.push_back({{"bytes_max", kSmallBytesMax[i]}, {"count", count}, {"bytes", bytes}});
    }
  }
  return json;
}

}  // namespace coracle::characterize
