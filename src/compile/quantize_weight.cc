#include "compile/quantize_weight.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "compile/layer_weights.h"

namespace coracle::compile {
namespace {

constexpr float kLargestCode = 127;
/// Shares of the largest magnitude that become code 127.
constexpr float kShares[] = {1.0F, 0.97F, 0.94F, 0.91F, 0.88F, 0.85F, 0.8F};

/// Rounds to even without the branches of a library call. Requires: |x| < 2^22.
float Rounded(float x) {
  constexpr float kWhole = 12582912;  // 3 * 2^22: no bit left for a fraction
  return x + kWhole - kWhole;
}

float CodeOf(float weight, float per_unit) {
  return Rounded(std::clamp(weight * per_unit, -kLargestCode, kLargestCode));
}

/// Writes the codes of one channel; returns their step.
float QuantizeChannel(std::span<const float> weights, std::span<float> codes) {
  float largest = 0;
  for (const float weight : weights) largest = std::max(largest, std::abs(weight));
  std::ranges::fill(codes, 0.0F);
  if (largest < std::numeric_limits<float>::min() * kLargestCode) return 1;
  double best = -1;
  float step = 0;
  float best_per_unit = 0;
  for (const float share : kShares) {
    const float per_unit = kLargestCode / (share * largest);
    double product = 0;
    double square = 0;
    for (const float weight : weights) {
      const double code = CodeOf(weight, per_unit);
      product += code * weight;
      square += code * code;
    }
    // With the best step, product / square, the squared error is sum(weight^2) less this.
    const double gain = product * product / square;
    if (gain <= best) continue;
    best = gain;
    step = static_cast<float>(product / square);
    best_per_unit = per_unit;
  }
  for (size_t i = 0; i < weights.size(); ++i) codes[i] = CodeOf(weights[i], best_per_unit);
  return step;
}

}  // namespace

QuantizedWeight QuantizeWeight(const graph::Node& node, std::span<const float> input_means) {
  const graph::Constant& from = *node.source->weight;
  const LayerWeights layer(node);
  auto storage = std::make_shared<std::vector<int8_t>>(layer.channels() * layer.count());
  QuantizedWeight result;
  std::vector<float> weights(layer.count());
  std::vector<float> codes(layer.count());
  for (uint64_t channel = 0; channel < layer.channels(); ++channel) {
    for (uint64_t i = 0; i < layer.count(); ++i) weights[i] = layer.Value(channel, i);
    const float step = QuantizeChannel(weights, codes);
    double shift = 0;
    for (uint64_t i = 0; i < layer.count(); ++i) {
      (*storage)[layer.At(channel, i)] = static_cast<int8_t>(codes[i]);
      const double lost = static_cast<double>(weights[i]) - static_cast<double>(step) * codes[i];
      shift += lost * input_means[layer.InputOf(channel, i)];
    }
    result.steps.push_back(step);
    result.bias_shifts.push_back(static_cast<float>(shift));
  }
  auto weight = std::make_shared<graph::Constant>();
  weight->name = from.name;
  weight->dtype = DType::kInt8;
  weight->shape = from.shape;
  weight->bytes = std::as_bytes(std::span(*storage));
  weight->owner = storage;
  result.weight = std::move(weight);
  return result;
}

}  // namespace coracle::compile
