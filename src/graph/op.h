// The closed set of operators and their attributes.
//
// One IR serves two stages (graph.h, Stage). In kLogical the axes are the importer's (ONNX:
// N,C,H,W; attributes that name axes mean those). In kRows tensors are channels-last (N,H,W,C),
// every axis attribute means the physical axis, and only what the comments below allow occurs.
// Every operator has exactly one output; Split imports as several Slice.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "graph/quantization.h"
#include "tensor/shape.h"

namespace coracle::graph {

/// A sliding window over H and W, as ONNX defines it (pads are the effective ones: auto_pad
/// resolved).
struct Window {
  uint32_t kernel_h = 1, kernel_w = 1;
  uint32_t stride_h = 1, stride_w = 1;
  uint32_t dilation_h = 1, dilation_w = 1;
  uint32_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;

  bool operator==(const Window&) const = default;
};

/// How a Conv's sums are made. Fixed when the model is sealed: it decides the bits of the result
/// and the order of the packed weights (kernels/packing.h).
enum class ConvAlgorithm : uint8_t {
  kDirect = 0,
  /// Winograd's minimal filtering F(2x2, 3x3) and F(4x4, 3x3) (Lavin and Gray, arXiv:1509.09308):
  /// tiles of 2x2 or 4x4 outputs, anchored at output (0, 0). 3x3 windows of stride 1 and dilation 1
  /// without groups; input channels a multiple of 16.
  kWinograd2 = 1,
  kWinograd4 = 2,
};
inline constexpr uint8_t kConvAlgorithmCount = 3;
/// "direct", "winograd2", "winograd4".
std::string_view AlgorithmName(ConvAlgorithm algorithm);
/// Winograd's algorithms take their input channels in blocks of so many.
inline constexpr uint32_t kWinogradInputChannels = 16;

/// Cross-correlation. Weight constant [out_channels, in_channels / groups, kh, kw] (see
/// WeightSource).
struct Conv {
  Window window;
  uint32_t groups = 1;
  uint32_t out_channels = 0;
  ConvAlgorithm algorithm = ConvAlgorithm::kDirect;
  bool operator==(const Conv&) const = default;
};

/// Gradient of Conv with respect to its input. Weight constant [in_channels, out_channels / groups,
/// kh, kw]. The pads are removed from the full output; output_pad_* rows/columns are added at
/// bottom and right.
struct ConvTranspose {
  Window window;
  uint32_t groups = 1;
  uint32_t out_channels = 0;
  uint32_t output_pad_h = 0, output_pad_w = 0;
  bool operator==(const ConvTranspose&) const = default;
};

/// y[..., n] = sum_k x[..., k] w[k, n] + bias[n], over the innermost axis.
struct Dense {
  uint32_t out_features = 0;
  bool operator==(const Dense&) const = default;
};

enum class TransposeB : uint8_t { kNo = 0, kYes = 1 };

/// Batched product of two activations: a [..., M, K] x b [..., K, N] (or [..., N, K] if
/// transposed), leading dimensions equal (or 1, broadcast). The result is multiplied by `scale`.
struct MatMul {
  TransposeB transpose_b = TransposeB::kNo;
  float scale = 1;
  bool operator==(const MatMul&) const = default;
};

enum class PoolKind : uint8_t { kMax = 0, kAverage = 1 };
enum class PadCounting : uint8_t { kExcludePad = 0, kIncludePad = 1 };

/// Window pooling. Taps outside of the image never win a max and add nothing to an average;
/// kExcludePad divides by the taps inside the image, kIncludePad by the taps inside image + pads.
/// With ceil mode the importer has enlarged the output; pad_bottom/right stay the model's own.
struct Pool {
  PoolKind kind = PoolKind::kMax;
  PadCounting counting = PadCounting::kExcludePad;
  Window window;
  bool operator==(const Pool&) const = default;
};

enum class ReduceKind : uint8_t { kMean = 0, kSum = 1, kMax = 2, kMin = 3 };

/// Reduction that keeps the reduced axes as 1. kRows: `axes` is either the last axis alone, or all
/// of 1..rank-2 (spatial).
struct Reduce {
  ReduceKind kind = ReduceKind::kMean;
  std::vector<uint32_t> axes;
  bool operator==(const Reduce&) const = default;
};

/// Over the last axis: (x - mean) / sqrt(var + epsilon) * scale + bias, population variance.
struct LayerNorm {
  float epsilon = 1e-5F;
  bool operator==(const LayerNorm&) const = default;
};

/// y = x scale[c] + shift[c] over the channel axis (kLogical: 1; kRows: last).
struct Affine {
  bool operator==(const Affine&) const = default;
};

/// Only the node's activation.
struct Unary {
  bool operator==(const Unary&) const = default;
};

enum class BinaryKind : uint8_t {
  kAdd = 0,
  kSub = 1,
  kMul = 2,
  kDiv = 3,
  kPow = 4,
  kMax = 5,
  kMin = 6
};
enum class Operands : uint8_t {
  kTensors = 0,        ///< inputs[0] op inputs[1]
  kConstantRight = 1,  ///< inputs[0] op constant
  kConstantLeft = 2,   ///< constant op inputs[0]
};

/// Elementwise with numpy broadcasting. The constant's shape is `constant_shape`.
struct Binary {
  BinaryKind kind = BinaryKind::kAdd;
  Operands operands = Operands::kTensors;
  Shape constant_shape;
  bool operator==(const Binary&) const = default;
};

/// exp(x - max) / sum over `axis`. kRows: the last axis.
struct Softmax {
  uint32_t axis = 0;
  bool operator==(const Softmax&) const = default;
};

enum class ResizeMode : uint8_t { kNearest = 0, kLinear = 1 };
enum class ResizeCoordinates : uint8_t {
  kAsymmetric = 0,  ///< x_in = x_out / scale
  kHalfPixel = 1,   ///< x_in = (x_out + 0.5) / scale - 0.5
  kPytorchHalfPixel = 2,
  kAlignCorners = 3,  ///< x_in = x_out (in - 1) / (out - 1)
};
enum class NearestRounding : uint8_t {
  kFloor = 0,
  kCeil = 1,
  kRoundPreferFloor = 2,
  kRoundPreferCeil = 3
};

/// Spatial resize of H and W. scale = out / in unless the model states it.
struct Resize {
  ResizeMode mode = ResizeMode::kNearest;
  ResizeCoordinates coordinates = ResizeCoordinates::kAsymmetric;
  NearestRounding rounding = NearestRounding::kFloor;
  float scale_h = 1, scale_w = 1;
  bool operator==(const Resize&) const = default;
};

struct Concat {
  uint32_t axis = 0;
  bool operator==(const Concat&) const = default;
};

/// out[i...] = in[start + i step ...], one start and step per axis (step may be negative).
struct Slice {
  std::vector<int64_t> starts;
  std::vector<int64_t> steps;
  bool operator==(const Slice&) const = default;
};

/// out axis i is in axis perm[i].
struct Transpose {
  std::vector<uint32_t> perm;
  bool operator==(const Transpose&) const = default;
};

/// The same elements in the same (row-major) order under the output's shape.
struct Reshape {
  bool operator==(const Reshape&) const = default;
};

enum class PadMode : uint8_t { kConstant = 0, kReflect = 1, kEdge = 2 };
struct Pad {
  PadMode mode = PadMode::kConstant;
  float value = 0;
  std::vector<uint32_t> before;
  std::vector<uint32_t> after;
  bool operator==(const Pad&) const = default;
};

/// darknet's reorg (its own index order, as reorg_cpu with forward = 0 gives), stride s:
/// N,C,H,W -> N,C s s,H/s,W/s. The definition is in C,H,W order; the kernels translate it.
struct Reorg {
  uint32_t stride = 2;
  bool operator==(const Reorg&) const = default;
};

enum class DetectionHeadKind : uint8_t { kYolo = 0, kRegion = 1 };

/// darknet's yolo and region layers as activations on raw outputs, channels [box][4 coords,
/// objectness, classes]: sigmoid of x, y, objectness and (yolo) classes; (region) softmax or
/// sigmoid over classes.
struct DetectionHead {
  DetectionHeadKind kind = DetectionHeadKind::kYolo;
  uint32_t boxes = 0;  ///< anchors of this head
  uint32_t classes = 0;
  uint32_t softmax = 0;  ///< region: 1 = softmax over classes, 0 = sigmoid
  bool operator==(const DetectionHead&) const = default;
};

/// What one step of a Recurrence does with its input x (the gates beside each other, `hidden`
/// values each), the step before it (h, and c of an LSTM) and the gates of h R + b. Gates in ONNX's
/// order.
enum class CellKind : uint8_t {
  kElman = 0,          ///< h' = tanh(x + h R + b)
  kGru = 1,            ///< z, r, n: n = tanh(x + (r h) R + b), h' = (1 - z) n + z h
  kGruResetAfter = 2,  ///< the same, but n = tanh(x + r (h R + b))
  kLstm = 3,           ///< i, o, f, g: c' = f c + i g, h' = o tanh(c')
};
enum class TimeOrder : uint8_t {
  kForward = 0,
  kBackward = 1,  ///< row s is the state after input rows rows - 1, rows - 2, ... rows - 1 - s
};
enum class InitialState : uint8_t {
  kZero = 0,
  kConstant = 1,  ///< WeightSource::initial_state, the same for every sequence
  kTensors = 2,   ///< inputs[1]: h [N, 1, hidden]; of an LSTM inputs[2]: c
};

/// The steps of a recurrent layer over sequences [N, T, gates hidden], a time step a row; what the
/// layer's own input adds to the gates is a Dense before it. Gives the states after each step: h
/// [N, T, hidden]; of an LSTM h and c beside each other, [N, T, 2 hidden]. sigmoid for the gates z,
/// r, i, o, f; tanh for n, g. Weight constant R [gates hidden, hidden], with bias b.
struct Recurrence {
  CellKind cell = CellKind::kLstm;
  uint32_t hidden = 0;
  TimeOrder order = TimeOrder::kForward;
  InitialState initial = InitialState::kZero;
  float clip = 0;  ///< > 0: what the gates' functions get is brought into [-clip, clip]
  bool operator==(const Recurrence&) const = default;
};

uint32_t GateCount(CellKind cell);
/// Channels of a Recurrence's output: 2 hidden for an LSTM, else hidden.
uint32_t StateChannels(const Recurrence& recurrence);

enum class AttentionMask : uint8_t {
  kNone = 0,
  kTensor = 1,    ///< inputs[3]
  kConstant = 2,  ///< a constant of `mask_shape`
};

/// softmax(scale q k' + mask) v over q [N, heads, M, D], k [N, heads, T, D], v [N, heads, T, E]:
/// [N, heads, M, E]. kRows: [N, M, heads, D] and so on, a token a row. The mask is [N, heads, M, T]
/// (kRows [N, M, heads, T]), heads and M may be 1; a constant's N is 1.
struct Attention {
  float scale = 1;
  AttentionMask mask = AttentionMask::kNone;
  Shape mask_shape;  ///< kConstant; else rank 0
  bool operator==(const Attention&) const = default;
};

/// float32 to uint8: saturate(round_to_even(x / scale) + zero), as ONNX's QuantizeLinear. With
/// QuantizationSource::kTensor, inputs[1] is a QuantizationRange's output and `out` is {1, 0}.
struct Quantize {
  Quantization out;
  QuantizationSource source = QuantizationSource::kConstant;
  bool operator==(const Quantize&) const = default;
};

/// uint8 to float32: scale * (q - zero). Parameters as Quantize has them.
struct Dequantize {
  Quantization in;
  QuantizationSource source = QuantizationSource::kConstant;
  bool operator==(const Dequantize&) const = default;
};

/// Least and largest value of each row of a float32 tensor (RowsOf): [images, rows, 2]. kRows only.
struct RowExtremes {
  bool operator==(const RowExtremes&) const = default;
};

/// Scale and zero point of each image (RowsOf) of a float32 tensor, as ONNX's DynamicQuantizeLinear
/// finds them: range = [min(0, least), max(0, largest)], scale = (max - min) / 255 (1 where that is
/// 0), zero = saturate(round_to_even(0 - min / scale)). float32 [N, 1, 2]: scale, zero. kRows: the
/// input is the tensor's RowExtremes, so that rows may pass by one after the other.
struct QuantizationRange {
  bool operator==(const QuantizationRange&) const = default;
};

/// uint8 + uint8 to uint8, same shapes: the sum of the dequantised values (each rounded to
/// float32), the node's activation, then as Quantize.
struct QuantizedAdd {
  Quantization a, b, out;
  bool operator==(const QuantizedAdd&) const = default;
};

/// The order is the file format's operator number: append only.
using Attributes = std::variant<Conv, ConvTranspose, Dense, MatMul, Pool, Reduce, LayerNorm, Affine,
                                Unary, Binary, Softmax, Resize, Concat, Slice, Transpose, Reshape,
                                Pad, Reorg, DetectionHead, Recurrence, Attention, Quantize,
                                Dequantize, QuantizationRange, QuantizedAdd, RowExtremes>;

enum class OpKind : uint8_t {
  kConv,
  kConvTranspose,
  kDense,
  kMatMul,
  kPool,
  kReduce,
  kLayerNorm,
  kAffine,
  kUnary,
  kBinary,
  kSoftmax,
  kResize,
  kConcat,
  kSlice,
  kTranspose,
  kReshape,
  kPad,
  kReorg,
  kDetectionHead,
  kRecurrence,
  kAttention,
  kQuantize,
  kDequantize,
  kQuantizationRange,
  kQuantizedAdd,
  kRowExtremes,
};
inline constexpr uint8_t kOpKindCount = std::variant_size_v<Attributes>;
static_assert(static_cast<uint8_t>(OpKind::kRowExtremes) + 1 == kOpKindCount);

/// "Conv", "ConvTranspose", ...
std::string_view OpName(OpKind kind);

/// True for the kinds whose kernel applies Node::activation: Conv, ConvTranspose, Dense, Affine,
/// Unary, Binary, QuantizedAdd.
bool AllowsActivation(OpKind kind);
/// True for the kinds whose kernel adds a residual: Conv, ConvTranspose, Dense.
bool AllowsResidual(OpKind kind);

}  // namespace coracle::graph
