// What `coracle seal --quantize-activations` says of the errors that it made.
#pragma once

#include <string>

#include "cmd/support/console.h"
#include "compile/quantize_model.h"

namespace coracle::cmd {

/// {"inputs", "layers": [{"name", "relative_error"}], "outputs": [{"name", "relative_error",
/// "largest_error"}], "top1_agreement": a share, or null}.
Json QuantizationJson(const compile::QuantizationReport& report);

/// The same as a table, a layer a line.
std::string QuantizationTable(const compile::QuantizationReport& report);

}  // namespace coracle::cmd
