// Where a node's weights are in the owner's arrays. Owner side; internal to packing.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

#include "base/check.h"
#include "kernels/packing.h"
#include "kernels/partition.h"

namespace coracle::kernels {

/// Floats of a constant that may lie unaligned in a mapped file.
class FloatSource {
 public:
  explicit FloatSource(const graph::WeightSource& source) {
    CORACLE_CHECK(source.weight != nullptr && source.weight->dtype == DType::kFloat32);
    bytes_ = source.weight->bytes;
  }
  float At(uint64_t index) const {
    CORACLE_CHECK((index + 1) * sizeof(float) <= bytes_.size());
    float value = 0;
    std::memcpy(&value, bytes_.data() + index * sizeof(float), sizeof(float));
    return value;
  }
  void Copy(uint64_t first, std::span<float> out) const {
    CORACLE_CHECK((first + out.size()) * sizeof(float) <= bytes_.size());
    std::memcpy(out.data(), bytes_.data() + first * sizeof(float), out.size_bytes());
  }

 private:
  Bytes bytes_;
};

inline float ScaleOf(const graph::WeightSource& source, uint32_t channel) {
  return source.scale.empty() ? 1.0F : source.scale[channel];
}
inline float BiasOf(const graph::WeightSource& source, uint32_t channel) {
  return source.bias.empty() ? 0.0F : source.bias[channel];
}

/// Where weight (k, column) of a panel is in the owner's array.
class WeightIndex {
 public:
  WeightIndex(const graph::Node& node, const Partition& partition,
              const graph::ChunkDescriptor& chunk, const PanelGeometry& panel)
      : node_(node),
        partition_(partition),
        chunk_(chunk),
        panel_(panel),
        taps_(TapsOfPart(partition, panel.phase_y, panel.phase_x)) {}

  /// Index of (k, column 0).
  uint64_t At(uint32_t k) const {
    return node_.kind() == graph::OpKind::kDense ? DenseAt(k) : ConvAt(k);
  }
  /// Distance from column to column.
  uint64_t ColumnStride() const {
    if (node_.kind() == graph::OpKind::kDense) {
      const bool by_outputs = node_.source->dense_order == graph::DenseOrder::kInputsByOutputs;
      return by_outputs ? 1 : partition_.inputs_per_group;
    }
    return Kernel() * (partition_.transposed ? 1 : partition_.inputs_per_group);
  }

 private:
  uint64_t Kernel() const {
    return uint64_t{partition_.window.kernel_h} * partition_.window.kernel_w;
  }

  uint64_t ConvAt(uint32_t k) const {
    const auto [tap, input] = KRowOf(node_, taps_, chunk_, k);
    const uint64_t ky = taps_.y.first + uint64_t{tap / taps_.x.count} * taps_.y.step;
    const uint64_t kx = taps_.x.first + uint64_t{tap % taps_.x.count} * taps_.x.step;
    const uint64_t output = panel_.channel_begin;
    uint64_t pair = output * partition_.inputs_per_group + input;
    if (partition_.transposed) {
      const uint64_t in_channel = uint64_t{panel_.group} * partition_.inputs_per_group + input;
      const uint64_t first = uint64_t{panel_.group} * partition_.outputs_per_group;
      pair = in_channel * partition_.outputs_per_group + output - first;
    }
    return pair * Kernel() + ky * partition_.window.kernel_w + kx;
  }

  uint64_t DenseAt(uint32_t k) const {
    const graph::WeightSource& source = *node_.source;
    uint64_t row = k;
    if (const Shape& chw = source.flattened_from; chw.rank() == 3) {
      const uint64_t c = k % chw[0];
      row = c * chw[1] * chw[2] + k / chw[0];
    }
    const uint64_t output = panel_.channel_begin;
    return source.dense_order == graph::DenseOrder::kInputsByOutputs
               ? row * partition_.outputs_per_group + output
               : output * partition_.inputs_per_group + row;
  }

  const graph::Node& node_;
  const Partition& partition_;
  const graph::ChunkDescriptor& chunk_;
  const PanelGeometry& panel_;
  PartTaps taps_;
};

/// The weights of one panel, row by row of K.
class PanelWeights {
 public:
  PanelWeights(const graph::Node& node, const Partition& partition,
               const graph::ChunkDescriptor& chunk, const PanelGeometry& panel)
      : source_(*node.source),
        floats_(source_),
        index_(node, partition, chunk, panel),
        panel_(panel) {}

  /// Row `k`, scaled: out[0, channel_count).
  void Row(uint32_t k, float* out) const {
    const uint64_t first = index_.At(k);
    const uint64_t stride = index_.ColumnStride();
    for (uint32_t n = 0; n < panel_.channel_count; ++n) {
      out[n] = floats_.At(first + n * stride) * ScaleOf(source_, panel_.channel_begin + n);
    }
  }

 private:
  const graph::WeightSource& source_;
  const FloatSource floats_;
  const WeightIndex index_;
  const PanelGeometry& panel_;
};

}  // namespace coracle::kernels
