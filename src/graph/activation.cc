#include "graph/activation.h"

#include <array>

#include "base/check.h"

namespace coracle::graph {

std::string_view ActivationName(ActivationKind kind) {
  static constexpr std::array<std::string_view, kActivationKindCount> kNames = {
      "none", "relu", "leaky_relu", "clip", "sigmoid", "hard_sigmoid", "hard_swish", "swish",
      "tanh", "exp",  "sqrt",       "erf",  "gelu",    "abs",          "neg",        "reciprocal",
      "log",  "elu",  "softplus",   "mish", "floor",   "ceil"};
  const auto position = static_cast<size_t>(kind);
  CORACLE_CHECK(position < kNames.size());
  return kNames[position];
}

}  // namespace coracle::graph
