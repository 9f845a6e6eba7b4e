// Constants: a model's weights as the owner has them, before they are packed. Owner side only:
// inside of the TEE a graph has none of these, and weights arrive as chunks.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace coracle::graph {

enum class ConstantIndex : uint32_t {};

struct Constant;

/// The integers that a float32 constant was dequantised from: value = scale (q - zero), with a
/// scale and a zero point for all or one per index of `axis`.
struct DequantizedFrom {
  std::shared_ptr<const Constant> integers;  ///< int8, uint8 or int32, as many elements
  std::vector<float> scale;
  std::vector<int32_t> zero;
  uint32_t axis = 0;  ///< of integers->shape
};

/// One array. `bytes` views memory that `owner` keeps alive (a mapped file, a parsed message, a
/// vector).
struct Constant {
  std::string name;
  DType dtype = DType::kFloat32;
  Shape shape;
  Bytes bytes;
  std::shared_ptr<const void> owner;
  /// Where the model's file has integers instead; else null.
  std::shared_ptr<const DequantizedFrom> from = nullptr;
};

/// How the stored weight matrix of a Dense lies.
enum class DenseOrder : uint8_t { kInputsByOutputs = 0, kOutputsByInputs = 1 };

/// What a node multiplies by, and what folding has made of it. Weights stay where they are
/// (possibly half a gigabyte in a mapped file); passes only write the small vectors beside them.
struct WeightSource {
  /// Conv, ConvTranspose, Dense: the weight, float32; WeightType::kDot8: int8 (uint8 models: with
  /// 128 taken from values and zero points). Recurrence: the float32 weight. Binary with a constant
  /// operand: that operand (float32). Attention with a constant mask: the mask. Affine, LayerNorm:
  /// none.
  std::shared_ptr<const Constant> weight;
  DenseOrder dense_order = DenseOrder::kInputsByOutputs;
  /// Dense whose input was flattened from C,H,W and now arrives as H,W,C: {C, H, W}. Else rank 0.
  Shape flattened_from;
  /// Per output channel. Empty: all 1 (scale), all 0 (bias). Conv, ConvTranspose, Dense: the weight
  /// is multiplied by scale. Affine, LayerNorm: their scale and shift.
  std::vector<float> scale;
  std::vector<float> bias;
  /// WeightType::kDot8 (quantization.h), per output channel; empty: all 0.
  std::vector<int32_t> weight_zero;
  std::vector<int32_t> integer_bias;
  /// WeightType::kInt8: the scale of each output channel's weights (times `scale` above), each a
  /// bfloat16 value.
  std::vector<float> weight_steps;
  /// Recurrence with InitialState::kConstant: h, or h and c, StateChannels() values.
  std::vector<float> initial_state;
};

}  // namespace coracle::graph
