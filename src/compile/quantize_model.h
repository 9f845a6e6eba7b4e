// A compiled model made to compute on integers, and how far that took it from float32.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "compile/calibration.h"
#include "compile/compile.h"
#include "compile/value_range.h"

namespace coracle::compile {

struct QuantizeOptions {
  std::string folder;      ///< of the calibration inputs
  std::string preprocess;  ///< the model's, for images
  RangeMethod ranges = RangeMethod::kPercentile;
};

/// Errors over all calibration inputs, as vision::Difference has them.
struct LayerError {
  std::string name;
  double relative_rms = 0;
};
struct OutputError {
  std::string name;
  double relative_rms = 0;
  double relative_largest = 0;
};
/// The quantised network against the float32 one. A layer's error is that of its output with all
/// layers before it quantised too.
struct QuantizationReport {
  size_t input_count = 0;
  std::vector<LayerError> layers;  ///< those that compute on integers, in the network's order
  std::vector<OutputError> outputs;
  /// Rows of the first output's scores whose largest element stays where it was (none where the
  /// output is no such rows).
  std::optional<uint64_t> top_agreeing;
  uint64_t top_rows = 0;
};

/// Gives `model` integer arithmetic (quantize_activations.h): runs it over the inputs to find the
/// ranges of its tensors (twice, equalize_channels.h between), rewrites it, cuts its weights anew,
/// and runs both over the inputs again. Requires: compiled with Sums::kExact and float32 weights.
/// Errors: as Calibrate() and QuantizeActivations().
Result<QuantizationReport> QuantizeModel(CompiledModel& model, const QuantizeOptions& options,
                                         const WorkProgress& calibrating,
                                         const WorkProgress& comparing);

}  // namespace coracle::compile
