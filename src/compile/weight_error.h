// The error that quantised weights make in the outputs, measured on the owner's inputs.
#pragma once

#include <string>

#include "base/result.h"
#include "compile/calibration.h"
#include "compile/compile.h"

namespace coracle::compile {

/// Makes weights of `model` float32 again, those first that save least, until no output is further
/// than `error_max` from the float32 network's: RMS of the difference over RMS, over all inputs in
/// `folder` (`preprocess`: the model's specification, for images). Returns the error that is left.
/// Halves the layers left in doubt each time, so it takes the error to grow with their number.
/// Requires: model.quantized in the order of what layers save (WeightChoice::kAuto).
/// Errors: as CalibrationInputs.
Result<double> KeepWithinError(CompiledModel& model, double error_max, const std::string& folder,
                               const std::string& preprocess, const WorkProgress& progress);

}  // namespace coracle::compile
