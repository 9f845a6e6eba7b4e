#include "graph/quantization.h"

#include <array>

#include "base/check.h"

namespace coracle::graph {

std::string_view WeightTypeName(WeightType type) {
  static constexpr std::array<std::string_view, kWeightTypeCount> kNames = {"fp32", "int8", "int4",
                                                                            "dot8"};
  const auto position = static_cast<size_t>(type);
  CORACLE_CHECK(position < kNames.size());
  return kNames[position];
}

}  // namespace coracle::graph
