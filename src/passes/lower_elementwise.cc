// Lowering of the elementwise operators: they take the layout that they find.
#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "passes/linear.h"
#include "passes/lowering.h"

namespace coracle::passes {
namespace {

using graph::Binary;
using graph::BinaryKind;
using graph::Node;
using graph::TensorIndex;
using graph::WeightSource;

/// A scalar becomes an Affine's vector up to this many channels; beyond, it stays a scalar.
constexpr uint32_t kMaxSpreadScalar = 1U << 16;

bool IsCommutative(BinaryKind kind) {
  return kind == BinaryKind::kAdd || kind == BinaryKind::kMul || kind == BinaryKind::kMax ||
         kind == BinaryKind::kMin;
}

Shape WithLeadingOnes(const Shape& shape, uint32_t rank) {
  Shape full;
  for (uint32_t i = shape.rank(); i < rank; ++i) full.Append(1);
  for (uint32_t dim : shape.dims()) full.Append(dim);
  return full;
}

/// Of two values, the one whose layout the result takes: the larger, and of equal ones the one
/// that lies as images do, or the first.
const Value& Leader(const Value& a, const Value& b) {
  const uint64_t elements_a = a.shape.Elements();
  const uint64_t elements_b = b.shape.Elements();
  if (elements_a != elements_b) return elements_a > elements_b ? a : b;
  return a.layout != ChannelsLast() && b.layout == ChannelsLast() ? b : a;
}

}  // namespace

std::shared_ptr<const graph::Constant> Permuted(const graph::Constant& constant, const Shape& shape,
                                                const Layout& layout) {
  auto result = std::make_shared<graph::Constant>(constant);
  result->shape = PhysicalShape(shape, layout);
  if (SameOrder(shape, layout, IdentityLayout(shape.rank()))) return result;
  const std::vector<float> values = FloatsOf(constant);
  std::vector<uint64_t> stride(shape.rank(), 1);
  for (uint32_t axis = shape.rank() - 1; axis > 0; --axis) {
    stride[axis - 1] = stride[axis] * shape[axis];
  }
  auto moved = std::make_shared<std::vector<float>>(values.size());
  for (uint64_t i = 0; i < moved->size(); ++i) {
    uint64_t rest = i;
    uint64_t from = 0;
    for (size_t axis = layout.size(); axis-- > 0;) {
      const uint32_t logical_axis = layout[axis];
      from += rest % shape[logical_axis] * stride[logical_axis];
      rest /= shape[logical_axis];
    }
    (*moved)[i] = values[from];
  }
  result->bytes = std::as_bytes(std::span(*moved));
  result->owner = std::move(moved);
  return result;
}

Value Lowering::LowerUnary(const Node& node) {
  const Value& input = Operand(node, 0);
  return Emit(node, node.attrs, {input.physical}, input.layout);
}

Value Lowering::LowerBinary(const Node& node) {
  const Shape& out = logical_.shape(node.output);
  Value a = WithRank(Operand(node, 0), out.rank());
  Value b = WithRank(Operand(node, 1), out.rank());
  const auto& binary = std::get<Binary>(node.attrs);
  // Kernels like the operand that is not broadcast first.
  if (IsCommutative(binary.kind) && a.shape != out && b.shape == out) std::swap(a, b);
  const Layout layout = Leader(a, b).layout;
  const TensorIndex left = InLayout(a, layout);
  const TensorIndex right = InLayout(b, layout);
  return Emit(node, node.attrs, {left, right}, layout);
}

Value Lowering::LowerBinaryConstant(const Node& node) {
  const Shape& out = logical_.shape(node.output);
  const uint32_t rank = std::max(out.rank(), 1U);
  const bool scalar = out.rank() == 0;
  const Value input = scalar ? Operand(node, 0) : WithRank(Operand(node, 0), out.rank());
  const Layout axes = scalar ? IdentityLayout(1) : input.layout;
  auto binary = std::get<Binary>(node.attrs);
  const Shape constant_shape = WithLeadingOnes(binary.constant_shape, rank);
  Node lowered = node;
  auto source = std::make_shared<WeightSource>(CopySource(node));
  source->weight = Permuted(*node.source->weight, constant_shape, axes);
  binary.constant_shape = source->weight->shape;
  lowered.attrs = binary;
  lowered.source = source;
  lowered.inputs = {input.physical};
  const uint32_t channels = PhysicalShape(input.shape, input.layout).Back(0);
  const auto linear = MatchLinear(rows_, lowered, rank - 1);
  const bool spreads = !linear || channels <= kMaxSpreadScalar || !linear->Uniform();
  if (linear && spreads && input.shape == out) {
    auto vectors = std::make_shared<WeightSource>();
    ApplyToSource(*linear, channels, *vectors);
    lowered.source = std::move(vectors);
    return Emit(lowered, graph::Affine{}, {input.physical}, input.layout);
  }
  return Emit(lowered, binary, {input.physical}, input.layout);
}

}  // namespace coracle::passes
