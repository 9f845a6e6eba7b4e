// Findings as JSON: what the tracer writes, and `coracle characterize` reads, completes and prints.
//
// Counts are exact integers where everything is followed, estimates where a sample is. Sizes are in
// bytes, distances and capacities in granules of the level that they stand in.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "characterize/distance_histogram.h"
#include "characterize/system_call_log.h"
#include "characterize/thread_recorder.h"
#include "characterize/trace_analysis.h"

namespace coracle::characterize {

using Json = nlohmann::ordered_json;

/// Goes into the findings, and is raised when a field changes its meaning.
inline constexpr int kFindingsVersion = 1;
/// Mappings that are listed one by one: those with the most pages.
inline constexpr size_t kMappingsListed = 64;

/// {"cold", "histogram": [[distance, touches], ...]}: each bucket by the least distance in it.
Json HistogramJson(const DistanceHistogram& histogram);
/// [[capacity, misses], ...]: LRU, at capacities a quarter of an octave apart, up to one where only
/// first touches miss.
Json MissCurveJson(const DistanceHistogram& histogram);

/// "accesses", "memory", "mappings", "lines", "reuse", "working_set", "epc", "marks".
/// Requires: analysis.Settle().
Json AnalysisJson(const TraceAnalysis& analysis);
/// "system_calls", "vdso_calls", "threads_started", "processes_started", "signals".
Json SystemCallsJson(const SystemCallLog& log);
/// {"repeated", "sequential", "strided", "irregular"}, in accesses.
Json PatternsJson(const PatternCounts& patterns);

}  // namespace coracle::characterize
