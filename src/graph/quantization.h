// Quantisation: how weights are stored, and the arithmetic of layers that compute on integers.
//
// Two things that have little to do with one another. Weights may be *stored* in fewer bits and be
// multiplied as float32 (kInt8, kInt4): the kernel reads scale * q where it would read a weight.
// Or a layer *computes* on integers (kDot8): uint8 activations times int8 weights, exact int32
// sums, which are then scaled once.
//
// 8-bit activations are uint8 inside of Coracle; an int8 model is the same with 128 added to values
// and zero points (x - zero stays what it was, and so do both ends of the range).
#pragma once

#include <cstdint>
#include <string_view>

namespace coracle::graph {

/// How the weights of a Conv, ConvTranspose or Dense lie in their chunks (kernels/packing.h).
enum class WeightType : uint8_t {
  kFloat32 = 0,
  kInt8 = 1,  ///< one bfloat16 scale an output channel
  kInt4 = 2,  ///< one bfloat16 scale an output channel and 32 rows of K
  kDot8 = 3,  ///< int8 in fours along K, for integer sums: inputs[0] is uint8
};
inline constexpr uint8_t kWeightTypeCount = 4;
/// "fp32", "int8", "int4", "dot8".
std::string_view WeightTypeName(WeightType type);

/// value = scale * (q - zero).
struct Quantization {
  float scale = 1;
  uint8_t zero = 0;
  bool operator==(const Quantization&) const = default;
};

/// Where scale and zero point of a quantised tensor come from.
enum class QuantizationSource : uint8_t {
  kConstant = 0,
  /// A QuantizationRange's output, the last operand: found while predicting, from the data.
  kTensor = 1,
};

/// The arithmetic of a Conv or Dense of WeightType::kDot8, per output channel n:
///
///   sum   = integer_bias[n] + sum_k (x[k] - in_zero) (w[k, n] - weight_zero[n])      int32, exact
///   value = activation(float(sum) * multiplier[n] + bias[n])      two roundings; the bias may be 0
///   y     = value                                                               output is float32
///   y     = saturate(round_to_even(value / out.scale) + out.zero)                 output is uint8
///
/// Taps outside of the image have x = in_zero. multiplier[n] is WeightSource::scale; where the
/// input's parameters are a tensor, that tensor's scale times it, rounded. No residual.
struct IntegerSums {
  QuantizationSource in_source = QuantizationSource::kConstant;
  uint8_t in_zero = 0;  ///< 0 where in_source is kTensor
  Quantization out;     ///< {1, 0} where the output is float32
  bool operator==(const IntegerSums&) const = default;
};

}  // namespace coracle::graph
