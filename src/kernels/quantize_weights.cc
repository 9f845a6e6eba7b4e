#include "kernels/quantize_weights.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "kernels/panel_workspace.h"
#include "kernels/partition.h"
#include "kernels/weight_index.h"

namespace coracle::kernels {
namespace {

using graph::Graph;
using graph::Node;
using graph::WeightType;

/// Below this a scale would leave the normal floats, of which kernels flush the rest.
constexpr float kLeastMagnitude = 0x1p-100F;
constexpr float kInt8Max = 127;
/// Shares of the scale that brings the largest weight to the end of the range: with a smaller one
/// the few largest are cut and all others are finer.
constexpr std::array<float, 6> kInt8Shares = {1.0F, 0.94F, 0.88F, 0.82F, 0.76F, 0.7F};
/// int4 reaches from -8 to 7: the largest magnitude may lie at either end.
constexpr float kInt4Min = -8;
constexpr float kInt4Max = 7;
constexpr int kInt4Steps = 14;
constexpr float kInt4FirstDivisor = 4.75F;
constexpr float kInt4DivisorStep = 0.25F;

/// The bfloat16 value nearest to `value`.
float NearestBFloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = bits + 0x7FFF + ((bits >> 16) & 1);
  return std::bit_cast<float>(rounded & 0xFFFF0000U);
}

/// The integer whose multiple of the scale is nearest, ties to even. `inverse`: 1 / scale, or 0.
float Quantized(float weight, float inverse, float low, float high) {
  constexpr float kRounder = 0x1.8p23F;  // no fraction fits beside it
  return std::min(std::max(weight * inverse, low), high) + kRounder - kRounder;
}

float Inverse(float scale) { return scale == 0 ? 0 : 1 / scale; }

/// The square error of `weights` at `scale`. Eight sums, so that they may be made side by side.
float SquareError(std::span<const float> weights, float scale, float low, float high) {
  constexpr size_t kSums = 8;
  std::array<float, kSums> sums{};
  const float inverse = Inverse(scale);
  const auto add = [&](size_t i, float& sum) {
    const float miss = weights[i] - scale * Quantized(weights[i], inverse, low, high);
    sum += miss * miss;
  };
  size_t i = 0;
  for (; i + kSums <= weights.size(); i += kSums) {
    for (size_t j = 0; j < kSums; ++j) add(i + j, sums[j]);
  }
  for (; i < weights.size(); ++i) add(i, sums[0]);
  float total = 0;
  for (const float sum : sums) total += sum;
  return total;
}

/// Keeps the scale of the least error. Sums of squares of huge weights may be infinite: the first
/// candidate then stands.
struct BestScale {
  float scale = 0;
  float error = std::numeric_limits<float>::infinity();

  void Try(std::span<const float> weights, float candidate, float low, float high) {
    // Multiples of the scale stay finite.
    const float most = FromBFloat16(ToBFloat16(std::numeric_limits<float>::max() / -low));
    const float rounded = std::clamp(NearestBFloat16(candidate), -most, most);
    const float found = SquareError(weights, rounded, low, high);
    if (scale != 0 && !(found < error)) return;
    scale = rounded;
    error = found;
  }
};

float LargestMagnitude(std::span<const float> weights) {
  float largest = 0;
  for (const float weight : weights) largest = std::max(largest, std::abs(weight));
  return largest;
}

float Int8Scale(std::span<const float> weights) {
  const float largest = LargestMagnitude(weights);
  if (largest < kLeastMagnitude) return 0;
  BestScale best;
  for (const float share : kInt8Shares) {
    best.Try(weights, largest / kInt8Max * share, -kInt8Max, kInt8Max);
  }
  return best.scale;
}

/// A negative scale puts the largest weight at -8.
float Int4Scale(std::span<const float> weights) {
  const float largest = LargestMagnitude(weights);
  if (largest < kLeastMagnitude) return 0;
  BestScale best;
  for (int i = 0; i < kInt4Steps; ++i) {
    const float scale = largest / (kInt4FirstDivisor + kInt4DivisorStep * static_cast<float>(i));
    best.Try(weights, scale, kInt4Min, kInt4Max);
    best.Try(weights, -scale, kInt4Min, kInt4Max);
  }
  return best.scale;
}

/// Rows of a panel turned on their side: a column's weights beside each other.
class Columns {
 public:
  Columns(const PanelWeights& weights, uint32_t channels, uint32_t k_begin, uint32_t rows)
      : rows_(rows), values_(size_t{rows} * channels) {
    std::array<float, kPanelChannels> row{};
    for (uint32_t k = 0; k < rows; ++k) {
      weights.Row(k_begin + k, row.data());
      for (uint32_t n = 0; n < channels; ++n) values_[size_t{n} * rows + k] = row[n];
    }
  }
  std::span<const float> operator[](uint32_t column) const {
    return std::span(values_).subspan(size_t{column} * rows_, rows_);
  }

 private:
  uint32_t rows_;
  std::vector<float> values_;
};

/// Rows of K whose errors are made to cancel.
constexpr uint32_t kGroupRows = kInt4GroupRows;

/// A few weights of a column as integers whose errors add up to less than a step: of those that
/// could as well have been rounded the other way, as many are as it takes. What layers multiply is
/// mostly positive, so that an error of the sum would weigh more than those of single weights
/// (Guo et al., SQuant, ICLR 2022).
class RoundedGroup {
 public:
  RoundedGroup(std::span<const float> weights, float scale, float low, float high)
      : low_(low), high_(high) {
    const float inverse = Inverse(scale);
    float sum = 0;
    for (size_t i = 0; i < weights.size(); ++i) {
      integers_[i] = Quantized(weights[i], inverse, low, high);
      const float rest = weights[i] * inverse - integers_[i];
      const bool cut = !(std::abs(rest) <= 0.5F);  // beyond the range: not for others to make up
      rests_[i] = cut ? 0 : rest;
      sum += rests_[i];
    }
    const float step = sum > 0 ? 1.0F : -1.0F;
    for (float left = std::abs(sum); left > 0.5F; left -= 1) {
      if (!MoveOne(weights.size(), step)) break;
    }
  }
  float operator[](size_t i) const { return integers_[i]; }

 private:
  /// Moves the weight that is nearest to its next integer; false if none is on that side.
  bool MoveOne(size_t count, float step) {
    size_t nearest = count;
    float largest = 0;
    for (size_t i = 0; i < count; ++i) {
      const float moved = integers_[i] + step;
      if (rests_[i] * step <= largest || moved < low_ || moved > high_) continue;
      largest = rests_[i] * step;
      nearest = i;
    }
    if (nearest == count) return false;
    integers_[nearest] += step;
    rests_[nearest] -= step;
    return true;
  }

  float low_, high_;
  std::array<float, kGroupRows> integers_{};
  std::array<float, kGroupRows> rests_{};
};

void StoreScale(float scale, std::byte* scales, uint32_t column) {
  const uint16_t half = ToBFloat16(scale);
  std::memcpy(scales + column * sizeof(half), &half, sizeof(half));
}

/// Adds what a column loses at its scale.
void AddLoss(std::span<const float> weights, float scale, float low, float high,
             QuantizationLoss& loss) {
  for (size_t first = 0; first < weights.size(); first += kGroupRows) {
    const auto group = weights.subspan(first, std::min<size_t>(kGroupRows, weights.size() - first));
    const RoundedGroup rounded(group, scale, low, high);
    for (size_t i = 0; i < group.size(); ++i) {
      const double miss = double{group[i]} - double{scale} * rounded[i];
      loss.error_squares += miss * miss;
      loss.weight_squares += double{group[i]} * group[i];
      loss.finite = loss.finite && std::isfinite(group[i]);
    }
  }
}

void PackInt8(const PanelWeights& weights, std::span<const float> steps, const PanelGeometry& panel,
              uint32_t k_begin, const PanelText& layout, std::byte* text) {
  for (uint32_t n = 0; n < panel.channel_count; ++n) {
    StoreScale(steps[panel.channel_begin + n], text + layout.ScalesAt(0), n);
  }
  for (uint32_t first = 0; first < layout.rows(); first += kGroupRows) {
    const uint32_t rows = std::min(kGroupRows, layout.rows() - first);
    const Columns columns(weights, panel.channel_count, k_begin + first, rows);
    for (uint32_t n = 0; n < panel.channel_count; ++n) {
      const float step = steps[panel.channel_begin + n];
      const RoundedGroup rounded(columns[n], step, -kInt8Max, kInt8Max);
      for (uint32_t k = 0; k < rows; ++k) {
        text[layout.RowAt(first + k) + n] = static_cast<std::byte>(static_cast<int8_t>(rounded[k]));
      }
    }
  }
}

void PackInt4(const PanelWeights& weights, const PanelGeometry& panel, uint32_t k_begin,
              const PanelText& layout, std::byte* text) {
  for (uint32_t first = 0; first < layout.rows(); first += kInt4GroupRows) {
    const uint32_t rows = std::min(kInt4GroupRows, layout.rows() - first);
    const Columns columns(weights, panel.channel_count, k_begin + first, rows);
    for (uint32_t n = 0; n < panel.channel_count; ++n) {
      const float scale = Int4Scale(columns[n]);
      StoreScale(scale, text + layout.ScalesAt(first), n);
      const RoundedGroup rounded(columns[n], scale, kInt4Min, kInt4Max);
      for (uint32_t k = 0; k < rows; ++k) {
        const auto bits = static_cast<uint8_t>(static_cast<int>(rounded[k]) + 8);
        std::byte& both = text[layout.RowAt(first + k) + n];
        both |= static_cast<std::byte>(k < kInt4GroupRows / 2 ? bits : bits << 4);
      }
    }
  }
}

}  // namespace

bool AllowsQuantizedWeights(const Graph& graph, const Node& node) {
  switch (node.kind()) {
    case graph::OpKind::kConv:
      return !graph::IsDepthwise(graph, node) && !WeavesGroups(graph, node);
    case graph::OpKind::kConvTranspose:
    case graph::OpKind::kDense:
      return true;
    default:
      return false;
  }
}

double QuantizationLoss::Relative() const {
  return weight_squares == 0 ? 0 : std::sqrt(error_squares / weight_squares);
}

QuantizationLoss MeasureQuantization(const Graph& graph, const Node& node, WeightType type,
                                     std::vector<float>& steps) {
  CORACLE_CHECK(IsDequantized(type) && node.source != nullptr);
  const Partition partition = PartitionOf(graph, node);
  const bool int8 = type == WeightType::kInt8;
  if (int8) steps.assign(graph.shape(node.output).Back(0), 0);
  QuantizationLoss loss;
  for (uint32_t i = 0; i < PanelCount(graph, node); ++i) {
    const PanelGeometry panel = PanelOf(partition, i);
    const graph::ChunkDescriptor whole{.k_count = panel.k_count};
    const PanelWeights weights(node, partition, whole, panel);
    const uint32_t run = int8 ? panel.k_count : kInt4GroupRows;
    for (uint32_t k = 0; k < panel.k_count; k += run) {
      const Columns columns(weights, panel.channel_count, k, std::min(run, panel.k_count - k));
      for (uint32_t n = 0; n < panel.channel_count; ++n) {
        if (int8) {
          // The phases of a transposed convolution share their channels' scales.
          float& step = steps[panel.channel_begin + n];
          step = std::max(step, Int8Scale(columns[n]));
          AddLoss(columns[n], step, -kInt8Max, kInt8Max, loss);
        } else {
          AddLoss(columns[n], Int4Scale(columns[n]), kInt4Min, kInt4Max, loss);
        }
      }
    }
  }
  return loss;
}

void PackQuantized(const PanelWeights& weights, std::span<const float> steps,
                   const PanelGeometry& panel, uint32_t k_begin, const PanelText& layout,
                   std::byte* text) {
  if (layout.type() == WeightType::kInt8) {
    PackInt8(weights, steps, panel, k_begin, layout, text);
  } else {
    PackInt4(weights, panel, k_begin, layout, text);
  }
}

}  // namespace coracle::kernels
