// TracerOrders: what `coracle characterize` tells the tracer, as arguments of a QEMU plugin:
// KEY=VALUE. Both sides are built from this.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "characterize/trace_analysis.h"

namespace coracle::characterize {

struct TracerOrders {
  std::string program_path;  ///< as the kernel names it in /proc/PID/maps
  std::string report_path;   ///< where the findings go, written under another name and renamed
  TraceAnalysis::Settings analysis;

  /// As qemu's option -plugin takes it: "PLUGIN,report=...,epc=...", commas in paths doubled.
  std::string ToOption(std::string_view plugin_path) const;
  /// Errors: kInvalidArgument.
  static Result<TracerOrders> Parse(std::span<const std::string_view> arguments);
};

}  // namespace coracle::characterize
