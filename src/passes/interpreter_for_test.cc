#include "passes/interpreter_for_test.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"

namespace coracle::passes {
namespace {

using graph::Node;
using graph::OpKind;
using graph::Stage;

using Index = std::vector<uint32_t>;

struct Array {
  Shape shape;
  std::vector<double> values;

  double& At(const Index& index) { return values[Offset(index)]; }
  double At(const Index& index) const { return values[Offset(index)]; }
  uint64_t Offset(const Index& index) const {
    uint64_t offset = 0;
    for (uint32_t axis = 0; axis < shape.rank(); ++axis)
      offset = offset * shape[axis] + index[axis];
    return offset;
  }
};

Array Empty(const Shape& shape) { return {shape, std::vector<double>(shape.Elements(), 0)}; }

template <typename Visit>
void ForEachIndex(const Shape& shape, Visit visit) {
  Index index(shape.rank(), 0);
  for (uint64_t i = 0; i < shape.Elements(); ++i) {
    visit(index);
    for (uint32_t axis = shape.rank(); axis-- > 0;) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}

double Activated(const graph::Activation& activation, double x) {
  using graph::ActivationKind;
  const auto a = static_cast<double>(activation.a);
  const auto b = static_cast<double>(activation.b);
  switch (activation.kind) {
    case ActivationKind::kNone:
      return x;
    case ActivationKind::kRelu:
      return std::max(x, 0.0);
    case ActivationKind::kClip:
      return std::min(std::max(x, a), b);
    case ActivationKind::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case ActivationKind::kHardSigmoid:
      return std::clamp(a * x + b, 0.0, 1.0);
    case ActivationKind::kHardSwish:
      return x * std::clamp(a * x + b, 0.0, 1.0);
    case ActivationKind::kSwish:
      return x / (1 + std::exp(-a * x));
    case ActivationKind::kTanh:
      return std::tanh(x);
    case ActivationKind::kSoftplus:
      return std::log1p(std::exp(x));
    case ActivationKind::kMish:
      return x * std::tanh(std::log1p(std::exp(x)));
    case ActivationKind::kErf:
      return std::erf(x);
    case ActivationKind::kGelu:
      return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
    case ActivationKind::kSqrt:
      return std::sqrt(x);
    case ActivationKind::kReciprocal:
      return 1 / x;
    default:
      CORACLE_CHECK(false);
  }
  return 0;
}

/// float32, or int8.
std::vector<double> Floats(const graph::Constant& constant) {
  if (constant.dtype == DType::kInt8) {
    std::vector<int8_t> integers(constant.bytes.size());
    std::memcpy(integers.data(), constant.bytes.data(), constant.bytes.size());
    return {integers.begin(), integers.end()};
  }
  std::vector<float> floats(constant.bytes.size() / sizeof(float));
  std::memcpy(floats.data(), constant.bytes.data(), constant.bytes.size());
  return {floats.begin(), floats.end()};
}

/// Scale and zero point of an image.
struct Parameters {
  float scale = 1;
  double zero = 0;
};

double Quantized(double x, const Parameters& to) {
  const float steps = std::nearbyint(static_cast<float>(x) / to.scale);
  return std::clamp(double{steps} + to.zero, 0.0, 255.0);
}

double Dequantized(double q, const Parameters& from) {
  return double{from.scale * static_cast<float>(q - from.zero)};
}

/// Computes one node.
class Step {
 public:
  Step(const graph::Graph& graph, const Node& node, std::vector<const Array*> inputs)
      : node_(node),
        inputs_(std::move(inputs)),
        rows_(graph.stage == Stage::kRows),
        to_integers_(graph.tensor(node.output).dtype == DType::kUint8),
        out_(Empty(graph.shape(node.output))) {}

  Array Run() {
    Compute();
    const Array* residual = node_.residual == graph::Residual::kNone ? nullptr : inputs_.back();
    const bool before = node_.residual == graph::Residual::kBeforeActivation;
    for (size_t i = 0; i < out_.values.size(); ++i) {
      double& value = out_.values[i];
      if (residual != nullptr && before) value += residual->values[i];
      value = Activated(node_.activation, value);
      if (residual != nullptr && !before) value += residual->values[i];
      if (node_.weight_type == graph::WeightType::kDot8 && to_integers_) {
        value = Quantized(value, Constant(node_.integer.out));
      }
      if (const auto* add = std::get_if<graph::QuantizedAdd>(&node_.attrs)) {
        value = Quantized(value, Constant(add->out));
      }
    }
    return std::move(out_);
  }

 private:
  const Array& in() const { return *inputs_[0]; }
  uint32_t ChannelAxis() const { return rows_ ? in().shape.rank() - 1 : 1; }
  Index ImageIndex(uint32_t n, uint32_t c, uint32_t h, uint32_t w) const {
    return rows_ ? Index{n, h, w, c} : Index{n, c, h, w};
  }
  /// n, c, h, w of an index.
  Index Logical(const Index& i) const { return rows_ ? Index{i[0], i[3], i[1], i[2]} : i; }
  double Scale(size_t c) const {
    return node_.source->scale.empty() ? 1 : static_cast<double>(node_.source->scale[c]);
  }
  double Bias(size_t c) const {
    return node_.source->bias.empty() ? 0 : static_cast<double>(node_.source->bias[c]);
  }

  static Parameters Constant(const graph::Quantization& q) {
    return {q.scale, static_cast<double>(q.zero)};
  }
  /// The parameters of an index's image, where a range gives them.
  Parameters OfRange(const Index& i) const {
    const bool alone = graph::RowsOf(in().shape).images == 1;
    const Index at{alone ? 0 : i[0], 0, 0};
    const Index zero{at[0], 0, 1};
    return {static_cast<float>(inputs_[1]->At(at)), inputs_[1]->At(zero)};
  }
  /// Integer sums: what is taken from x (0 for other layers), and from w.
  double InZero(const Index& i) const {
    if (node_.integer.in_source == graph::QuantizationSource::kTensor) return OfRange(i).zero;
    return node_.integer.in_zero;
  }
  double WeightZero(size_t c) const {
    return node_.source->weight_zero.empty() ? 0 : node_.source->weight_zero[c];
  }
  /// A layer's value from its sum.
  double Scaled(const Index& i, size_t c, double sum) const {
    if (node_.weight_type != graph::WeightType::kDot8) return sum * Scale(c) + Bias(c);
    if (!node_.source->integer_bias.empty()) sum += node_.source->integer_bias[c];
    auto multiplier = static_cast<float>(Scale(c));
    if (node_.integer.in_source == graph::QuantizationSource::kTensor) {
      multiplier *= OfRange(i).scale;
    }
    const float scaled = static_cast<float>(sum) * multiplier;
    return double{scaled + static_cast<float>(Bias(c))};
  }

  void ComputeQuantize(const graph::Quantize& quantize) {
    const bool by_range = quantize.source == graph::QuantizationSource::kTensor;
    ForEachIndex(out_.shape, [&](const Index& i) {
      out_.At(i) = Quantized(in().At(i), by_range ? OfRange(i) : Constant(quantize.out));
    });
  }

  void ComputeDequantize(const graph::Dequantize& dequantize) {
    const bool by_range = dequantize.source == graph::QuantizationSource::kTensor;
    ForEachIndex(out_.shape, [&](const Index& i) {
      out_.At(i) = Dequantized(in().At(i), by_range ? OfRange(i) : Constant(dequantize.in));
    });
  }

  void ComputeRowExtremes() {
    const size_t elements = graph::RowsOf(in().shape).RowElements();
    for (size_t row = 0; row < in().values.size() / elements; ++row) {
      const auto begin = in().values.begin() + static_cast<ptrdiff_t>(row * elements);
      const auto end = begin + static_cast<ptrdiff_t>(elements);
      out_.values[2 * row] = *std::min_element(begin, end);
      out_.values[2 * row + 1] = *std::max_element(begin, end);
    }
  }

  /// Of each image's elements, or of its rows' extremes: the extremes of both are the same.
  void ComputeRange() {
    const size_t images = out_.shape[0];
    const auto elements = static_cast<ptrdiff_t>(in().values.size() / images);
    for (size_t n = 0; n < images; ++n) {
      const auto begin = in().values.begin() + static_cast<ptrdiff_t>(n) * elements;
      const auto least = static_cast<float>(*std::min_element(begin, begin + elements));
      const auto most = static_cast<float>(*std::max_element(begin, begin + elements));
      const float low = std::min(0.0F, least);
      float scale = (std::max(0.0F, most) - low) / 255;
      if (scale == 0) scale = 1;
      out_.values[2 * n] = double{scale};
      out_.values[2 * n + 1] = std::clamp(double{std::nearbyint(0 - low / scale)}, 0.0, 255.0);
    }
  }

  void ComputeQuantizedAdd(const graph::QuantizedAdd& add) {
    for (size_t i = 0; i < out_.values.size(); ++i) {
      const double a = Dequantized(in().values[i], Constant(add.a));
      const double b = Dequantized(inputs_[1]->values[i], Constant(add.b));
      out_.values[i] = double{static_cast<float>(a + b)};
    }
  }

  void Compute() {
    switch (node_.kind()) {
      case OpKind::kConv:
        return ComputeConv(std::get<graph::Conv>(node_.attrs));
      case OpKind::kPool:
        return ComputePool(std::get<graph::Pool>(node_.attrs));
      case OpKind::kResize:
        return ComputeResize(std::get<graph::Resize>(node_.attrs));
      case OpKind::kDense:
        return ComputeDense();
      case OpKind::kMatMul:
        return ComputeMatMul(std::get<graph::MatMul>(node_.attrs));
      case OpKind::kReduce:
        return ComputeReduce(std::get<graph::Reduce>(node_.attrs));
      case OpKind::kLayerNorm:
        return ComputeLayerNorm(std::get<graph::LayerNorm>(node_.attrs));
      case OpKind::kAffine:
        return ForEachIndex(out_.shape, [&](const Index& i) {
          const uint32_t c = i[ChannelAxis()];
          out_.At(i) = in().At(i) * Scale(c) + Bias(c);
        });
      case OpKind::kUnary:
      case OpKind::kReshape:
        out_.values = in().values;
        return;
      case OpKind::kBinary:
        return ComputeBinary(std::get<graph::Binary>(node_.attrs));
      case OpKind::kSoftmax:
        return ComputeSoftmax(std::get<graph::Softmax>(node_.attrs).axis);
      case OpKind::kConcat:
        return ComputeConcat(std::get<graph::Concat>(node_.attrs).axis);
      case OpKind::kSlice:
        return ComputeSlice(std::get<graph::Slice>(node_.attrs));
      case OpKind::kTranspose:
        return ComputeTranspose(std::get<graph::Transpose>(node_.attrs).perm);
      case OpKind::kPad:
        return ComputePad(std::get<graph::Pad>(node_.attrs));
      case OpKind::kRecurrence:
        return ComputeRecurrence(std::get<graph::Recurrence>(node_.attrs));
      case OpKind::kAttention:
        return ComputeAttention(std::get<graph::Attention>(node_.attrs));
      case OpKind::kQuantize:
        return ComputeQuantize(std::get<graph::Quantize>(node_.attrs));
      case OpKind::kDequantize:
        return ComputeDequantize(std::get<graph::Dequantize>(node_.attrs));
      case OpKind::kRowExtremes:
        return ComputeRowExtremes();
      case OpKind::kQuantizationRange:
        return ComputeRange();
      case OpKind::kQuantizedAdd:
        return ComputeQuantizedAdd(std::get<graph::QuantizedAdd>(node_.attrs));
      default:
        CORACLE_CHECK(false);
    }
  }

  /// Calls visit(tap_y, tap_x, h, w) for the window's taps that are inside the image.
  template <typename Visit>
  void ForEachTap(const graph::Window& w, uint32_t y, uint32_t x, Visit visit) const {
    const int64_t height = in().shape[rows_ ? 1 : 2];
    const int64_t width = in().shape[rows_ ? 2 : 3];
    for (uint32_t ky = 0; ky < w.kernel_h; ++ky) {
      for (uint32_t kx = 0; kx < w.kernel_w; ++kx) {
        const int64_t h = int64_t{y} * w.stride_h + int64_t{ky} * w.dilation_h - w.pad_top;
        const int64_t v = int64_t{x} * w.stride_w + int64_t{kx} * w.dilation_w - w.pad_left;
        if (h < 0 || h >= height || v < 0 || v >= width) continue;
        visit(ky, kx, static_cast<uint32_t>(h), static_cast<uint32_t>(v));
      }
    }
  }

  void ComputeConv(const graph::Conv& conv) {
    const std::vector<double> weight = Floats(*node_.source->weight);
    const uint32_t group_in = in().shape[ChannelAxis()] / conv.groups;
    const uint32_t group_out = conv.out_channels / conv.groups;
    const graph::Window& w = conv.window;
    ForEachIndex(out_.shape, [&](const Index& i) {
      const Index o = Logical(i);
      double sum = 0;
      ForEachTap(w, o[2], o[3], [&](uint32_t ky, uint32_t kx, uint32_t h, uint32_t v) {
        for (uint32_t c = 0; c < group_in; ++c) {
          const size_t at = ((size_t{o[1]} * group_in + c) * w.kernel_h + ky) * w.kernel_w + kx;
          const uint32_t channel = o[1] / group_out * group_in + c;
          sum += (weight[at] - WeightZero(o[1])) *
                 (in().At(ImageIndex(o[0], channel, h, v)) - InZero(i));
        }
      });
      out_.At(i) = Scaled(i, o[1], sum);
    });
  }

  void ComputePool(const graph::Pool& pool) {
    const graph::Window& w = pool.window;
    const int64_t end_h = int64_t{in().shape[rows_ ? 1 : 2]} + w.pad_bottom;
    const int64_t end_w = int64_t{in().shape[rows_ ? 2 : 3]} + w.pad_right;
    ForEachIndex(out_.shape, [&](const Index& i) {
      const Index o = Logical(i);
      double sum = 0;
      double largest = -INFINITY;
      int inside = 0;
      ForEachTap(w, o[2], o[3], [&](uint32_t, uint32_t, uint32_t h, uint32_t v) {
        const double value = in().At(ImageIndex(o[0], o[1], h, v));
        sum += value;
        largest = std::max(largest, value);
        ++inside;
      });
      int counted = 0;
      for (uint32_t ky = 0; ky < w.kernel_h; ++ky) {
        for (uint32_t kx = 0; kx < w.kernel_w; ++kx) {
          const int64_t h = int64_t{o[2]} * w.stride_h + int64_t{ky} * w.dilation_h - w.pad_top;
          const int64_t v = int64_t{o[3]} * w.stride_w + int64_t{kx} * w.dilation_w - w.pad_left;
          if (h < end_h && v < end_w) ++counted;
        }
      }
      if (pool.counting == graph::PadCounting::kExcludePad) counted = inside;
      out_.At(i) = pool.kind == graph::PoolKind::kMax ? largest : sum / counted;
    });
  }

  void ComputeResize(const graph::Resize& resize) {
    CORACLE_CHECK(resize.mode == graph::ResizeMode::kNearest);
    ForEachIndex(out_.shape, [&](const Index& i) {
      const Index o = Logical(i);
      const auto from = [](uint32_t at, float scale) {
        return static_cast<uint32_t>(static_cast<float>(at) / scale);
      };
      out_.At(i) =
          in().At(ImageIndex(o[0], o[1], from(o[2], resize.scale_h), from(o[3], resize.scale_w)));
    });
  }

  void ComputeDense() {
    const graph::WeightSource& source = *node_.source;
    const std::vector<double> weight = Floats(*source.weight);
    const uint32_t inputs = in().shape.Back(0);
    const uint32_t outputs = out_.shape.Back(0);
    const bool inputs_first = source.dense_order == graph::DenseOrder::kInputsByOutputs;
    ForEachIndex(out_.shape, [&](const Index& i) {
      const uint32_t n = i.back();
      double sum = 0;
      Index at = i;
      for (uint32_t k = 0; k < inputs; ++k) {
        at.back() = k;
        const uint32_t row = WeightRow(source.flattened_from, k);
        const size_t w = inputs_first ? size_t{row} * outputs + n : size_t{n} * inputs + row;
        sum += (in().At(at) - InZero(i)) * (weight[w] - WeightZero(n));
      }
      out_.At(i) = Scaled(i, n, sum);
    });
  }

  /// The row of the C,H,W weight that multiplies input k of H,W,C order.
  static uint32_t WeightRow(const Shape& chw, uint32_t k) {
    if (chw.rank() == 0) return k;
    const uint32_t c = k % chw[0];
    const uint32_t pixel = k / chw[0];
    return c * chw[1] * chw[2] + pixel;
  }

  void ComputeMatMul(const graph::MatMul& matmul) {
    const bool transposed = matmul.transpose_b == graph::TransposeB::kYes;
    const Array& b = *inputs_[1];
    const uint32_t count = in().shape.Back(0);
    ForEachIndex(out_.shape, [&](const Index& i) {
      double sum = 0;
      for (uint32_t k = 0; k < count; ++k) {
        Index left = Broadcast(i, in().shape);
        Index right = Broadcast(i, b.shape);
        const size_t last = left.size() - 1;
        left[last - 1] = i[i.size() - 2];
        left[last] = k;
        right[right.size() - (transposed ? 1 : 2)] = k;
        right[right.size() - (transposed ? 2 : 1)] = i.back();
        sum += in().At(left) * b.At(right);
      }
      out_.At(i) = sum * static_cast<double>(matmul.scale);
    });
  }

  static Index Broadcast(const Index& index, const Shape& shape) {
    Index result(shape.rank());
    for (uint32_t axis = 0; axis < shape.rank(); ++axis) {
      const uint32_t at = index[index.size() - shape.rank() + axis];
      result[axis] = shape[axis] == 1 ? 0 : at;
    }
    return result;
  }

  void ComputeReduce(const graph::Reduce& reduce) {
    std::vector<double> counts(out_.values.size(), 0);
    const bool sums =
        reduce.kind == graph::ReduceKind::kMean || reduce.kind == graph::ReduceKind::kSum;
    ForEachIndex(in().shape, [&](const Index& i) {
      Index to = i;
      for (uint32_t axis : reduce.axes) to[axis] = 0;
      double& result = out_.At(to);
      double& count = counts[out_.Offset(to)];
      const double value = in().At(i);
      if (sums) {
        result += value;
      } else if (count == 0) {
        result = value;
      } else {
        result = reduce.kind == graph::ReduceKind::kMax ? std::max(result, value)
                                                        : std::min(result, value);
      }
      ++count;
    });
    if (reduce.kind != graph::ReduceKind::kMean) return;
    for (size_t i = 0; i < counts.size(); ++i) out_.values[i] /= counts[i];
  }

  void ComputeLayerNorm(const graph::LayerNorm& norm) {
    const size_t count = in().shape.Back(0);
    for (size_t begin = 0; begin < out_.values.size(); begin += count) {
      double mean = 0;
      double variance = 0;
      for (size_t c = 0; c < count; ++c) mean += in().values[begin + c];
      mean /= static_cast<double>(count);
      for (size_t c = 0; c < count; ++c) variance += std::pow(in().values[begin + c] - mean, 2);
      variance /= static_cast<double>(count);
      const double root = std::sqrt(variance + static_cast<double>(norm.epsilon));
      for (size_t c = 0; c < count; ++c) {
        out_.values[begin + c] = (in().values[begin + c] - mean) / root * Scale(c) + Bias(c);
      }
    }
  }

  void ComputeBinary(const graph::Binary& binary) {
    Array constant;
    const Array* left = inputs_[0];
    const Array* right = inputs_.size() > 1 ? inputs_[1] : nullptr;
    if (binary.operands != graph::Operands::kTensors) {
      constant = {binary.constant_shape, Floats(*node_.source->weight)};
      right = &constant;
      if (binary.operands == graph::Operands::kConstantLeft) std::swap(left, right);
    }
    ForEachIndex(out_.shape, [&](const Index& i) {
      const double a = left->At(Broadcast(i, left->shape));
      const double b = right->At(Broadcast(i, right->shape));
      out_.At(i) = Apply(binary.kind, a, b);
    });
  }

  static double Apply(graph::BinaryKind kind, double a, double b) {
    using graph::BinaryKind;
    switch (kind) {
      case BinaryKind::kAdd:
        return a + b;
      case BinaryKind::kSub:
        return a - b;
      case BinaryKind::kMul:
        return a * b;
      case BinaryKind::kDiv:
        return a / b;
      case BinaryKind::kPow:
        return std::pow(a, b);
      case BinaryKind::kMax:
        return std::max(a, b);
      case BinaryKind::kMin:
        return std::min(a, b);
    }
    return 0;
  }

  void ComputeSoftmax(uint32_t axis) {
    ForEachIndex(out_.shape, [&](const Index& i) {
      double largest = -INFINITY;
      double sum = 0;
      Index at = i;
      for (at[axis] = 0; at[axis] < out_.shape[axis]; ++at[axis]) {
        largest = std::max(largest, in().At(at));
      }
      for (at[axis] = 0; at[axis] < out_.shape[axis]; ++at[axis]) {
        sum += std::exp(in().At(at) - largest);
      }
      out_.At(i) = std::exp(in().At(i) - largest) / sum;
    });
  }

  void ComputeRecurrence(const graph::Recurrence& cell) {
    const uint32_t steps = in().shape[1];
    for (uint32_t n = 0; n < in().shape[0]; ++n) {
      std::vector<double> h = FirstState(cell, n, 0);
      std::vector<double> c = FirstState(cell, n, 1);
      for (uint32_t s = 0; s < steps; ++s) {
        const uint32_t t = cell.order == graph::TimeOrder::kForward ? s : steps - 1 - s;
        ComputeStep(cell, {n, t}, h, c);
        for (uint32_t j = 0; j < cell.hidden; ++j) {
          out_.At({n, s, j}) = h[j];
          if (cell.cell == graph::CellKind::kLstm) out_.At({n, s, cell.hidden + j}) = c[j];
        }
      }
    }
  }

  std::vector<double> FirstState(const graph::Recurrence& cell, uint32_t n, uint32_t state) const {
    std::vector<double> values(cell.hidden, 0);
    if (state == 1 && cell.cell != graph::CellKind::kLstm) return values;
    for (uint32_t j = 0; j < cell.hidden; ++j) {
      if (cell.initial == graph::InitialState::kConstant) {
        values[j] = node_.source->initial_state[state * cell.hidden + j];
      } else if (cell.initial == graph::InitialState::kTensors) {
        values[j] = inputs_[1 + state]->At({n, 0, j});
      }
    }
    return values;
  }

  /// b + sum of R times `h`, gate `g`, unit `j`.
  double Recurrent(const graph::Recurrence& cell, uint32_t g, uint32_t j,
                   const std::vector<double>& h) const {
    const std::vector<double> weights = Floats(*node_.source->weight);
    const size_t row = size_t{g} * cell.hidden + j;
    double sum = node_.source->bias.empty() ? 0.0 : double{node_.source->bias[row]};
    for (uint32_t k = 0; k < cell.hidden; ++k) sum += weights[row * cell.hidden + k] * h[k];
    return sum;
  }

  void ComputeStep(const graph::Recurrence& cell, const Index& at, std::vector<double>& h,
                   std::vector<double>& c) const {
    using graph::CellKind;
    const auto clip = [&](double x) {
      return cell.clip > 0 ? std::clamp(x, -double{cell.clip}, double{cell.clip}) : x;
    };
    const auto x = [&](uint32_t g, uint32_t j) {
      return in().At({at[0], at[1], g * cell.hidden + j});
    };
    const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
    const std::vector<double> before = h;
    std::vector<double> passed = h;
    const auto gate = [&](uint32_t g, uint32_t j) {
      return clip(x(g, j) + Recurrent(cell, g, j, before));
    };
    if (cell.cell == CellKind::kGru) {
      for (uint32_t j = 0; j < cell.hidden; ++j) passed[j] *= sigmoid(gate(1, j));
    }
    for (uint32_t j = 0; j < cell.hidden; ++j) {
      if (cell.cell == CellKind::kElman) {
        h[j] = std::tanh(gate(0, j));
      } else if (cell.cell == CellKind::kLstm) {
        c[j] = sigmoid(gate(2, j)) * c[j] + sigmoid(gate(0, j)) * std::tanh(gate(3, j));
        h[j] = sigmoid(gate(1, j)) * std::tanh(c[j]);
      } else {
        const double sum = Recurrent(cell, 2, j, passed);
        const double kept = cell.cell == CellKind::kGru ? sum : sigmoid(gate(1, j)) * sum;
        const double z = sigmoid(gate(0, j));
        h[j] = (1 - z) * std::tanh(clip(x(2, j) + kept)) + z * before[j];
      }
    }
  }

  void ComputeAttention(const graph::Attention& attention) {
    const auto index = [this](uint32_t n, uint32_t head, uint32_t token, uint32_t channel) {
      return rows_ ? Index{n, token, head, channel} : Index{n, head, token, channel};
    };
    Array constant;
    const Array* mask = inputs_.size() > 3 ? inputs_[3] : nullptr;
    if (attention.mask == graph::AttentionMask::kConstant) {
      constant = {attention.mask_shape, Floats(*node_.source->weight)};
      mask = &constant;
    }
    const uint32_t tokens = inputs_[1]->shape[rows_ ? 1 : 2];
    ForEachIndex(out_.shape, [&](const Index& i) {
      const uint32_t head = i[rows_ ? 2 : 1];
      const uint32_t query = i[rows_ ? 1 : 2];
      double sum = 0;
      double total = 0;
      for (uint32_t t = 0; t < tokens; ++t) {
        double score = 0;
        for (uint32_t d = 0; d < in().shape[3]; ++d) {
          score += in().At(index(i[0], head, query, d)) * inputs_[1]->At(index(i[0], head, t, d));
        }
        score *= double{attention.scale};
        if (mask != nullptr) {
          score += mask->At(Broadcast(index(i[0], head, query, t), mask->shape));
        }
        total += std::exp(score);
        sum += std::exp(score) * inputs_[2]->At(index(i[0], head, t, i[3]));
      }
      out_.At(i) = sum / total;
    });
  }

  void ComputeConcat(uint32_t axis) {
    uint32_t begin = 0;
    for (const Array* input : inputs_) {
      ForEachIndex(input->shape, [&](const Index& i) {
        Index to = i;
        to[axis] += begin;
        out_.At(to) = input->At(i);
      });
      begin += input->shape[axis];
    }
  }

  void ComputeSlice(const graph::Slice& slice) {
    ForEachIndex(out_.shape, [&](const Index& i) {
      Index from = i;
      for (size_t axis = 0; axis < i.size(); ++axis) {
        from[axis] =
            static_cast<uint32_t>(slice.starts[axis] + int64_t{i[axis]} * slice.steps[axis]);
      }
      out_.At(i) = in().At(from);
    });
  }

  void ComputeTranspose(const std::vector<uint32_t>& perm) {
    ForEachIndex(out_.shape, [&](const Index& i) {
      Index from = i;
      for (size_t axis = 0; axis < i.size(); ++axis) from[perm[axis]] = i[axis];
      out_.At(i) = in().At(from);
    });
  }

  void ComputePad(const graph::Pad& pad) {
    std::fill(out_.values.begin(), out_.values.end(), static_cast<double>(pad.value));
    CORACLE_CHECK(pad.mode == graph::PadMode::kConstant);
    ForEachIndex(in().shape, [&](const Index& i) {
      Index to = i;
      for (size_t axis = 0; axis < i.size(); ++axis) to[axis] += pad.before[axis];
      out_.At(to) = in().At(i);
    });
  }

  const Node& node_;
  std::vector<const Array*> inputs_;
  bool rows_;
  bool to_integers_;
  Array out_;
};

/// Index in the port's element order of the physical index.
Index PortIndex(const graph::Port& port, const Index& physical) {
  Index index(port.perm.size());
  for (size_t axis = 0; axis < index.size(); ++axis) index[port.perm[axis]] = physical[axis];
  return index;
}

}  // namespace

NamedValues Interpret(const graph::Graph& graph, const NamedValues& inputs) {
  std::vector<Array> arrays(graph.tensors.size());
  for (const graph::Port& port : graph.inputs) {
    Array& array = arrays[Position(port.tensor)];
    array = Empty(graph.shape(port.tensor));
    const std::vector<float>& given = inputs.at(port.name);
    const Array order{port.shape, {}};
    ForEachIndex(array.shape, [&](const Index& i) {
      array.At(i) = static_cast<double>(given[order.Offset(PortIndex(port, i))]);
    });
  }
  for (const Node& node : graph.nodes) {
    std::vector<const Array*> operands;
    for (graph::TensorIndex input : node.inputs) operands.push_back(&arrays[Position(input)]);
    arrays[Position(node.output)] = Step(graph, node, std::move(operands)).Run();
  }
  NamedValues outputs;
  for (const graph::Port& port : graph.outputs) {
    const Array& array = arrays[Position(port.tensor)];
    std::vector<float>& values = outputs[port.name];
    values.resize(array.values.size());
    const Array order{port.shape, {}};
    ForEachIndex(array.shape, [&](const Index& i) {
      values[order.Offset(PortIndex(port, i))] = static_cast<float>(array.At(i));
    });
  }
  return outputs;
}

}  // namespace coracle::passes
