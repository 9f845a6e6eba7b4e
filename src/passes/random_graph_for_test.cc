// Random graphs: every operator that the interpreter knows, on shapes small enough to compute
// thousands of graphs, with the idioms that the passes look for mixed in.
#include <algorithm>

#include "passes/graph_for_test.h"

namespace coracle::passes {
namespace {

using graph::ActivationKind;
using graph::BinaryKind;
using graph::TensorIndex;

class RandomBuilder {
 public:
  explicit RandomBuilder(uint32_t seed) : builder_(seed) {}

  graph::Graph Build(uint32_t nodes) {
    const uint32_t batch = Pick(1, 2);
    const uint32_t channels = Pick(1, 4) * 2;
    tensors_.push_back(builder_.Input({batch, channels, Pick(1, 6), Pick(1, 6)}));
    if (Pick(0, 3) == 0) tensors_.push_back(builder_.Input({batch, Pick(1, 5), Pick(1, 6)}));
    while (builder_.graph().nodes.size() < nodes) {
      const TensorIndex x = PickTensor();
      const TensorIndex y = Grow(x);
      if (y != x) tensors_.push_back(y);
    }
    OutputUnused();
    return builder_.graph();
  }

 private:
  uint32_t Pick(uint32_t low, uint32_t high) {
    return std::uniform_int_distribution<uint32_t>(low, high)(builder_.random());
  }
  /// Mostly a recent tensor, so that chains form.
  TensorIndex PickTensor() {
    const auto count = static_cast<uint32_t>(tensors_.size());
    const uint32_t window = Pick(0, 2) == 0 ? count : std::min(count, 2U);
    return tensors_[count - 1 - Pick(0, window - 1)];
  }
  Shape shape(TensorIndex x) const { return builder_.shape(x); }

  TensorIndex Grow(TensorIndex x) {
    switch (Pick(0, 19)) {
      case 0:
      case 1:
      case 2:
        return shape(x).rank() == 4 ? RandomConv(x) : RandomDense(x);
      case 3:
        return RandomDense(x);
      case 4:
      case 5:
        return RandomActivation(x);
      case 6:
      case 7:
        return RandomScalar(x);
      case 8:
        return RandomConstant(x);
      case 9:
      case 10:
        return RandomAdd(x);
      case 11:
        return RandomPool(x);
      case 12:
      case 13:
        return RandomTranspose(x);
      case 14:
      case 15:
        return RandomReshape(x);
      case 16:
        return RandomReduce(x);
      case 17:
        return RandomSliceOrConcat(x);
      case 18:
        return RandomNorm(x);
      default:
        return RandomMatMul(x);
    }
  }

  TensorIndex RandomConv(TensorIndex x) {
    const uint32_t channels = shape(x)[1];
    graph::Window window;
    window.kernel_h = std::min(Pick(1, 3), shape(x)[2]);
    window.kernel_w = std::min(Pick(1, 3), shape(x)[3]);
    window.pad_top = Pick(0, window.kernel_h - 1);
    window.pad_right = Pick(0, window.kernel_w - 1);
    window.stride_h = Pick(1, 2);
    uint32_t groups = 1;
    uint32_t out_channels = Pick(1, 6);
    if (Pick(0, 2) == 0) groups = out_channels = channels;
    TensorIndex padded = x;
    if (Pick(0, 4) == 0) {
      padded =
          builder_.Add(graph::Pad{graph::PadMode::kConstant, 0, {0, 0, 1, 0}, {0, 0, 0, 2}}, {x});
    }
    TensorIndex y = builder_.Conv(padded, out_channels, window, groups);
    if (Pick(0, 2) == 0) {
      graph::WeightSource source;
      source.scale = builder_.Floats(out_channels, 0.5F, 1.5F);
      source.bias = builder_.Floats(out_channels, -1, 1);
      y = builder_.Add(graph::Affine{}, {y}, std::move(source));
    }
    return y;
  }

  TensorIndex RandomDense(TensorIndex x) {
    if (shape(x).rank() == 0) return x;
    TensorIndex from = x;
    const Shape s = shape(x);
    if (s.rank() == 4 && Pick(0, 1) == 0) from = builder_.Reshape(x, {s[0], s[1] * s[2] * s[3]});
    return builder_.Dense(from, Pick(1, 6));
  }

  TensorIndex RandomActivation(TensorIndex x) {
    switch (Pick(0, 5)) {
      case 0:
        return builder_.Unary(x, ActivationKind::kRelu);
      case 1:
        return builder_.Unary(x, ActivationKind::kTanh);
      case 2:
        return builder_.Binary(BinaryKind::kMul, x, builder_.Unary(x, ActivationKind::kSigmoid));
      case 3: {
        const TensorIndex shifted = builder_.Scalar(BinaryKind::kAdd, x, 3);
        const TensorIndex clip = builder_.Unary(shifted, ActivationKind::kClip, 0, 6);
        const TensorIndex product = builder_.Binary(BinaryKind::kMul, clip, x);
        return builder_.Scalar(BinaryKind::kDiv, product, 6);
      }
      case 4:
        return builder_.Unary(x, ActivationKind::kClip, -1, 1);
      default:
        return builder_.Unary(x, ActivationKind::kSigmoid);
    }
  }

  TensorIndex RandomScalar(TensorIndex x) {
    static constexpr std::array kKinds = {BinaryKind::kAdd, BinaryKind::kMul, BinaryKind::kSub,
                                          BinaryKind::kDiv, BinaryKind::kMax};
    const float value = builder_.Floats(1, 0.5F, 1.5F)[0];
    const BinaryKind kind = kKinds[Pick(0, kKinds.size() - 1)];
    const auto side = kind == BinaryKind::kSub && Pick(0, 1) == 0 ? graph::Operands::kConstantLeft
                                                                  : graph::Operands::kConstantRight;
    return builder_.Constant(kind, x, Pick(0, 1) == 0 ? Shape{} : Shape{1}, {value}, side);
  }

  /// A constant that broadcasts along a random choice of axes.
  TensorIndex RandomConstant(TensorIndex x) {
    const Shape s = shape(x);
    Shape constant;
    for (uint32_t axis = Pick(0, s.rank()); axis < s.rank(); ++axis) {
      constant.Append(Pick(0, 1) == 0 ? 1 : s[axis]);
    }
    const auto kind = Pick(0, 1) == 0 ? BinaryKind::kMul : BinaryKind::kAdd;
    return builder_.Constant(kind, x, constant, builder_.Floats(constant.Elements(), 0.5F, 1.5F));
  }

  TensorIndex RandomAdd(TensorIndex x) {
    for (size_t i = tensors_.size(); i-- > 0;) {
      if (tensors_[i] != x && shape(tensors_[i]) == shape(x) && Pick(0, 2) != 0) {
        return builder_.Binary(Pick(0, 3) == 0 ? BinaryKind::kMul : BinaryKind::kAdd, x,
                               tensors_[i]);
      }
    }
    if (shape(x).rank() != 4) return x;
    // Squeeze and excite: the product with a map of one pixel.
    const TensorIndex pooled = builder_.Mean(x, {2, 3});
    const TensorIndex gate = builder_.Conv(pooled, shape(x)[1]);
    return builder_.Binary(BinaryKind::kMul, gate, x);
  }

  TensorIndex RandomPool(TensorIndex x) {
    const Shape s = shape(x);
    if (s.rank() != 4) return x;
    if (Pick(0, 3) == 0) {
      return builder_.Add(
          graph::Resize{graph::ResizeMode::kNearest, graph::ResizeCoordinates::kAsymmetric,
                        graph::NearestRounding::kFloor, 2, 1},
          {x}, {}, {s[0], s[1], s[2] * 2, s[3]});
    }
    graph::Pool pool;
    pool.kind = Pick(0, 1) == 0 ? graph::PoolKind::kMax : graph::PoolKind::kAverage;
    pool.counting =
        Pick(0, 1) == 0 ? graph::PadCounting::kExcludePad : graph::PadCounting::kIncludePad;
    pool.window.kernel_h = std::min(2U, s[2]);
    pool.window.kernel_w = std::min(3U, s[3]);
    pool.window.stride_w = 2;
    TensorIndex from = x;
    if (Pick(0, 1) == 0) {
      from =
          builder_.Add(graph::Pad{graph::PadMode::kConstant, 0, {0, 0, 0, 1}, {0, 0, 1, 0}}, {x});
    }
    return builder_.Add(pool, {from});
  }

  TensorIndex RandomTranspose(TensorIndex x) {
    std::vector<uint32_t> perm;
    for (uint32_t axis = 0; axis < shape(x).rank(); ++axis) perm.push_back(axis);
    std::shuffle(perm.begin(), perm.end(), builder_.random());
    return builder_.Transpose(x, perm);
  }

  /// Merges two neighbours, splits one axis, adds or removes an axis of 1, or flattens all.
  TensorIndex RandomReshape(TensorIndex x) {
    const Shape s = shape(x);
    std::vector<uint32_t> dims(s.dims().begin(), s.dims().end());
    const uint32_t at = s.rank() == 0 ? 0 : Pick(0, s.rank() - 1);
    const auto position = dims.begin() + at;
    switch (Pick(0, 4)) {
      case 0:
        if (at + 1 < s.rank()) {
          dims[at] *= dims[at + 1];
          dims.erase(position + 1);
        }
        break;
      case 1:
        if (s.rank() > 0 && s.rank() < 6 && dims[at] % 2 == 0) {
          dims[at] /= 2;
          dims.insert(position, 2);
        }
        break;
      case 2:
        if (s.rank() < 5) dims.insert(position, 1);
        break;
      case 3:
        if (s.rank() > 1 && dims[at] == 1) dims.erase(position);
        break;
      default:
        dims = {static_cast<uint32_t>(s.Elements())};
        if (dims[0] % 2 == 0) dims = {dims[0] / 2, 2};
    }
    return builder_.Reshape(x, Shape(dims));
  }

  TensorIndex RandomReduce(TensorIndex x) {
    std::vector<uint32_t> axes;
    for (uint32_t axis = 0; axis < shape(x).rank(); ++axis) {
      if (Pick(0, 1) == 0) axes.push_back(axis);
    }
    if (axes.empty()) return x;
    const auto kind = Pick(0, 1) == 0 ? graph::ReduceKind::kMean : graph::ReduceKind::kMax;
    return builder_.Add(graph::Reduce{kind, axes}, {x});
  }

  TensorIndex RandomSliceOrConcat(TensorIndex x) {
    const Shape s = shape(x);
    if (s.rank() == 0) return x;
    const uint32_t axis = Pick(0, s.rank() - 1);
    if (Pick(0, 1) == 0 && s.Elements() < 500) {
      const TensorIndex pair = builder_.Add(graph::Concat{axis}, {x, x});
      return Pick(0, 1) == 0 ? pair : builder_.Add(graph::Concat{axis}, {x, x, pair});
    }
    graph::Slice slice{std::vector<int64_t>(s.rank(), 0), std::vector<int64_t>(s.rank(), 1)};
    Shape out = s;
    slice.starts[axis] = Pick(0, s[axis] - 1);
    slice.steps[axis] = Pick(0, 1) == 0 ? 1 : -1;
    const auto start = static_cast<uint32_t>(slice.starts[axis]);
    out.Set(axis, slice.steps[axis] > 0 ? s[axis] - start : start + 1);
    return builder_.Add(slice, {x}, {}, out);
  }

  TensorIndex RandomNorm(TensorIndex x) {
    const Shape s = shape(x);
    if (s.rank() == 0) return x;
    if (Pick(0, 1) == 0) return builder_.Add(graph::Softmax{Pick(0, s.rank() - 1)}, {x});
    const uint32_t last = s.rank() - 1;
    const TensorIndex d = builder_.Binary(BinaryKind::kSub, x, builder_.Mean(x, {last}));
    const TensorIndex square = builder_.Scalar(BinaryKind::kPow, d, 2);
    const TensorIndex variance =
        builder_.Scalar(BinaryKind::kAdd, builder_.Mean(square, {last}), 0.1F);
    const TensorIndex root = builder_.Unary(variance, ActivationKind::kSqrt);
    const TensorIndex normal = builder_.Binary(BinaryKind::kDiv, d, root);
    return builder_.Constant(BinaryKind::kMul, normal, {s.Back(0)},
                             builder_.Floats(s.Back(0), 0.5F, 1.5F));
  }

  TensorIndex RandomMatMul(TensorIndex x) {
    const uint32_t rank = shape(x).rank();
    if (rank < 2) return x;
    std::vector<uint32_t> perm;
    for (uint32_t axis = 0; axis < rank; ++axis) perm.push_back(axis);
    std::swap(perm[rank - 1], perm[rank - 2]);
    const TensorIndex other = builder_.Transpose(x, perm);
    const TensorIndex scaled = builder_.Scalar(BinaryKind::kMul, x, 0.25F);
    return builder_.Add(graph::MatMul{}, {scaled, other});
  }

  void OutputUnused() {
    std::vector<bool> used(builder_.graph().tensors.size(), false);
    for (const graph::Node& node : builder_.graph().nodes) {
      for (TensorIndex input : node.inputs) used[Position(input)] = true;
    }
    for (const graph::Node& node : builder_.graph().nodes) {
      if (!used[Position(node.output)]) builder_.Output(node.output);
    }
  }

  GraphForTest builder_;
  std::vector<TensorIndex> tensors_;
};

}  // namespace

graph::Graph RandomGraph(uint32_t seed, uint32_t nodes) { return RandomBuilder(seed).Build(nodes); }

}  // namespace coracle::passes
