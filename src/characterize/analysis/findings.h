// Findings as JSON: what the tracer writes, and `coracle characterize` reads, completes and prints.
//
// Counts are exact integers where everything is followed, estimates where a sample is. Sizes are in
// bytes, distances and capacities in granules of the level that they stand in.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "characterize/analysis/system_call_log.h"
#include "characterize/analysis/thread_recorder.h"
#include "characterize/analysis/trace_analysis.h"
#include "characterize/reuse/distance_histogram.h"

namespace coracle::characterize {

using Json = nlohmann::ordered_json;
/// The count at `key`.
inline uint64_t Whole(const Json& json, const char* key) { return json.at(key).get<uint64_t>(); }

/// Goes into the findings, and is raised when a field changes its meaning.
inline constexpr int kFindingsVersion = 1;
/// Mappings that are listed one by one: those with the most pages.
inline constexpr size_t kMappingsListed = 64;

/// {"cold", "histogram": [[distance, touches], ...]}: each bucket by the least distance in it.
Json HistogramJson(const DistanceHistogram& histogram);
/// [[capacity, misses], ...]: LRU, at capacities a quarter of an octave apart, up to one where only
/// first touches miss.
Json MissCurveJson(const DistanceHistogram& histogram);

/// "accesses", "memory", "mappings", "lines", "reuse", "working_set", "timeline", "epc", "marks",
/// and what findings_by_part.h adds. Requires: analysis.Settle().
Json AnalysisJson(const TraceAnalysis& analysis, const TraceNames& names);
/// "system_calls", "vdso_calls", "threads_started", "processes_started", "signals".
Json SystemCallsJson(const SystemCallLog& log);
/// {"repeated", "sequential", "strided", "irregular"}, in accesses.
Json PatternsJson(const PatternCounts& patterns);

}  // namespace coracle::characterize
