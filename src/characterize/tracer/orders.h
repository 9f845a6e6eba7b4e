// TracerOrders: what `coracle characterize` tells the tracer, as arguments of a QEMU plugin:
// KEY=VALUE. Both sides are built from this.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "characterize/analysis/trace_analysis.h"

namespace coracle::characterize {

/// What is done with each access.
enum class TracerWork : uint8_t {
  kAnalysis,  ///< all of TraceAnalysis
  kDigests    ///< AccessDigests alone, so that two runs can be compared
};

struct TracerOrders {
  std::string program_path;  ///< as the kernel names it in /proc/PID/maps
  std::string report_path;   ///< where the findings go, written under another name and renamed
  /// The library that is preloaded into the program and tells of its allocations
  /// (allocations/recorder.cc). Empty: none is; RunTraced says which.
  std::string recorder_path;
  TraceAnalysis::Settings analysis;
  /// Marks (base/epc_mark.h): the counts begin anew at the first that has this label, and what
  /// follows one of the other is not followed. Nothing: from the start, to the end.
  std::optional<uint64_t> from_mark;
  std::optional<uint64_t> to_mark;
  TracerWork work = TracerWork::kAnalysis;

  /// As qemu's option -plugin takes it: "PLUGIN,report=...,epc=...", commas in paths doubled.
  std::string ToOption(std::string_view plugin_path) const;
  /// Errors: kInvalidArgument.
  static Result<TracerOrders> Parse(std::span<const std::string_view> arguments);
};

}  // namespace coracle::characterize
