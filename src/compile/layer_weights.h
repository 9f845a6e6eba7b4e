// The float32 weights of a Conv or Dense by output channel, as quantising looks at them.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "graph/graph.h"

namespace coracle::compile {

/// Where the weights of an output channel lie in the array, and which inputs they multiply.
class LayerWeights {
 public:
  /// Requires: a float32 source, which must outlive this.
  explicit LayerWeights(const graph::Node& node) : weight_(*node.source->weight) {
    CORACLE_CHECK(weight_.dtype == DType::kFloat32);
    const graph::WeightSource& source = *node.source;
    const Shape& shape = weight_.shape;
    const auto* const conv = std::get_if<graph::Conv>(&node.attrs);
    const bool inputs_first =
        conv == nullptr && source.dense_order == graph::DenseOrder::kInputsByOutputs;
    channels_ = shape[inputs_first ? 1 : 0];
    count_ = shape.Elements() / channels_;
    channel_stride_ = inputs_first ? 1 : count_;
    stride_ = inputs_first ? channels_ : 1;
    if (conv != nullptr) {
      pixels_ = uint64_t{shape[2]} * shape[3];
      group_channels_ = channels_ / conv->groups;
    } else if (const Shape& chw = source.flattened_from; chw.rank() == 3) {
      pixels_ = uint64_t{chw[1]} * chw[2];
      flattened_channels_ = chw[0];
    }
  }

  uint64_t channels() const { return channels_; }
  /// Weights of a channel.
  uint64_t count() const { return count_; }
  /// The place in the array of weight i of a channel.
  uint64_t At(uint64_t channel, uint64_t i) const {
    return channel * channel_stride_ + i * stride_;
  }
  float Value(uint64_t channel, uint64_t i) const {
    float value = 0;  // the array may lie unaligned in a mapped file
    std::memcpy(&value, weight_.bytes.data() + At(channel, i) * sizeof(float), sizeof(float));
    return value;
  }
  /// The input channel (the last axis of the layer's input) that weight i of a channel multiplies.
  uint64_t InputOf(uint64_t channel, uint64_t i) const {
    const uint64_t input = i / pixels_;
    if (group_channels_ > 0) return channel / group_channels_ * (count_ / pixels_) + input;
    return i % pixels_ * flattened_channels_ + input;
  }

 private:
  const graph::Constant& weight_;
  uint64_t channels_ = 0;
  uint64_t count_ = 0;
  uint64_t channel_stride_ = 0;
  uint64_t stride_ = 0;
  uint64_t pixels_ = 1;
  uint64_t group_channels_ = 0;  ///< outputs of a group; 0: a Dense
  uint64_t flattened_channels_ = 1;
};

}  // namespace coracle::compile
