#include "characterize/analysis/findings.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "characterize/analysis/findings_by_part.h"
#include "characterize/analysis/system_calls.h"

namespace coracle::characterize {
namespace {

/// By what lies in memory, as the mapping says or the program itself.
Json MemoryJson(const TraceAnalysis& analysis) {
  Json json = Json::array();
  for (size_t i = 0; i < kMemoryKindCount; ++i) {
    const TraceAnalysis::KindUse& use = analysis.kind_uses()[i];
    if (use.volume.accesses() == 0) continue;
    Json one = {{"kind", MemoryKindName(static_cast<MemoryKind>(i))},
                {"touched_bytes", use.pages << kPageShift}};
    one.update(VolumeJson(use.volume));
    json.push_back(std::move(one));
  }
  return json;
}

Json MappingsJson(const TraceAnalysis& analysis) {
  const auto& uses = analysis.mapping_uses();
  Json json = Json::array();
  for (const size_t i : Largest(uses, kMappingsListed,
                                [](const TraceAnalysis::MappingUse& use) { return use.pages; })) {
    if (uses[i].pages == 0) break;
    const Mapping& mapping = analysis.map().mappings()[i];
    Json one = {{"index", i},
                {"kind", MemoryKindName(mapping.kind)},
                {"name", mapping.name},
                {"bytes", mapping.bytes},
                {"touched_bytes", uses[i].pages << kPageShift},
                {"page_returns", Number(uses[i].returns.total())},
                {"page_distance_median", MedianDistance(uses[i].returns)}};
    one.update(VolumeJson(uses[i].volume));
    json.push_back(std::move(one));
  }
  return json;
}

Json LevelJson(const ReuseLevel& level) {
  const DistanceHistogram all = level.Histogram();
  Json json = {{"granule_bytes", uint64_t{1} << level.shift()},
               {"exact", !level.sampled()},
               {"sample_rate", level.sample_rate()},
               {"expected_error", level.expected_error()},
               {"touches", Number(all.total())}};
  json.update(HistogramJson(all));
  json["miss_curve"] = MissCurveJson(all);
  Json kinds = Json::object();
  for (size_t i = 0; i < kMemoryKindCount; ++i) {
    const auto kind = static_cast<MemoryKind>(i);
    const DistanceHistogram histogram = level.Histogram(kind);
    if (histogram.total() > 0) kinds[MemoryKindName(kind)] = HistogramJson(histogram);
  }
  json["kinds"] = std::move(kinds);
  return json;
}

Json EpcJson(const TraceAnalysis& analysis) {
  const EpcCaches& epc = analysis.epc();
  const DistanceHistogram pages = analysis.pages().Histogram();
  Json sizes = Json::array();
  for (size_t i = 0; i < epc.size(); ++i) {
    const EpcCaches::Counts counts = epc.counts(i);
    sizes.push_back({{"bytes", analysis.settings().epc_bytes[i]},
                     {"loads", counts.loads},
                     {"evictions", counts.evictions},
                     {"lru_loads", Number(pages.Misses(counts.capacity_pages) - pages.cold())}});
  }
  return {{"run_pages_max", analysis.settings().run_pages_max},
          {"first_touches", epc.first_touches()},
          {"pinned_bytes", epc.pinned_pages() << kPageShift},
          {"sizes", std::move(sizes)}};
}

Json MarksJson(const TraceAnalysis& analysis) {
  Json json = Json::array();
  for (const TraceAnalysis::Mark& mark : analysis.marks()) {
    json.push_back({{"label", mark.label},
                    {"accesses", mark.accesses},
                    {"first_touches", mark.first_touches},
                    {"loads", mark.loads}});
  }
  return json;
}

Json CallsJson(const std::map<int64_t, SystemCallLog::Counts>& calls) {
  Json json = Json::array();
  for (const auto& [number, counts] : calls) {
    if (counts.calls == 0) continue;
    json.push_back(
        {{"name", SystemCallName(number)}, {"calls", counts.calls}, {"errors", counts.errors}});
  }
  return json;
}

Json TimelineJson(const TraceAnalysis& analysis, const WorkingSet::Windows& windows) {
  Json loads = Json::array();
  for (size_t i = 0; i < analysis.epc().size(); ++i) {
    std::vector<uint64_t> one = analysis.timeline().Windows(i, windows.shift);
    // Windows at the end had none.
    one.resize(std::max(one.size(), windows.pages.size()), 0);
    loads.push_back(std::move(one));
  }
  return {{"window_accesses", uint64_t{1} << windows.shift},
          {"pages", windows.pages},
          {"loads", std::move(loads)}};
}

}  // namespace

Json Number(double value) {
  if (value == std::floor(value) && std::abs(value) < 0x1p53) return static_cast<int64_t>(value);
  return value;
}

Json VolumeJson(const Volume& volume) {
  return {{"reads", volume.reads},
          {"writes", volume.writes},
          {"read_bytes", volume.read_bytes},
          {"written_bytes", volume.written_bytes}};
}

uint64_t MedianDistance(const DistanceHistogram& returns) {
  // Half of them stay below.
  return returns.total() > 0 ? returns.CapacityFor(returns.total() / 2) : 0;
}

Json HistogramJson(const DistanceHistogram& histogram) {
  Json buckets = Json::array();
  for (const DistanceHistogram::Bucket& bucket : histogram.Buckets()) {
    buckets.push_back({bucket.begin, Number(bucket.weight)});
  }
  return {{"cold", Number(histogram.cold())}, {"histogram", std::move(buckets)}};
}

Json MissCurveJson(const DistanceHistogram& histogram) {
  Json points = Json::array();
  const uint64_t bound = histogram.DistanceBound();
  for (uint64_t octave = 1;; octave *= 2) {
    for (uint64_t quarter = 0; quarter < 4; ++quarter) {
      if (octave < 4 && quarter != 0) continue;
      const uint64_t capacity = octave + octave / 4 * quarter;
      points.push_back({capacity, Number(histogram.Misses(capacity))});
      if (capacity >= bound) return points;
    }
  }
}

Json AnalysisJson(const TraceAnalysis& analysis, const TraceNames& names) {
  Volume all;
  for (const TraceAnalysis::KindUse& use : analysis.kind_uses()) all.Add(use.volume);
  Json accesses = {{"count", analysis.accesses()}, {"by_kernel", analysis.kernel_accesses()}};
  accesses.update(VolumeJson(all));
  const TraceAnalysis::LineUse lines = analysis.line_use();
  Json reuse = Json::array({LevelJson(analysis.pages())});
  for (const ReuseLevel& level : analysis.levels()) reuse.push_back(LevelJson(level));
  const WorkingSet::Windows windows = analysis.working_set().Finest();
  Json json = {{"accesses", std::move(accesses)},
               {"peak_bytes", analysis.pages_peak() << kPageShift},
               {"memory", MemoryJson(analysis)},
               {"mappings", MappingsJson(analysis)},
               {"lines", {{"once", lines.once}, {"twice", lines.twice}, {"many", lines.many}}},
               {"reuse", std::move(reuse)},
               {"working_set",
                {{"window_accesses", uint64_t{1} << windows.shift}, {"pages", windows.pages}}},
               {"timeline", TimelineJson(analysis, windows)},
               {"epc", EpcJson(analysis)},
               {"marks", MarksJson(analysis)}};
  json.update(PartsJson(analysis, names));
  return json;
}

Json SystemCallsJson(const SystemCallLog& log) {
  return {{"system_calls", CallsJson(log.calls())},
          {"vdso_calls", CallsJson(log.vdso_calls())},
          {"threads_started", log.threads_started()},
          {"processes_started", log.processes_started()},
          {"signals", {{"handled", log.signals_handled()}, {"sent", log.signals_sent()}}}};
}

Json PatternsJson(const PatternCounts& patterns) {
  return {{"repeated", patterns[static_cast<size_t>(Pattern::kRepeated)]},
          {"sequential", patterns[static_cast<size_t>(Pattern::kSequential)]},
          {"strided", patterns[static_cast<size_t>(Pattern::kStrided)]},
          {"irregular", patterns[static_cast<size_t>(Pattern::kIrregular)]}};
}

}  // namespace coracle::characterize
