// Lowering of the operators with an opinion on layout: channels, features or a batch of matrices
// last.
#include <memory>

#include "passes/lowering.h"

namespace coracle::passes {

using graph::Node;
using graph::TensorIndex;

Value Lowering::LowerImage(const Node& node) { return LowerSequence(node, ChannelsLast()); }

Value Lowering::LowerSequence(const Node& node, const Layout& layout) {
  std::vector<TensorIndex> inputs;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const bool range = i == 1 && node.weight_type == graph::WeightType::kDot8;
    inputs.push_back(range ? RangeOperand(node) : InLayout(Operand(node, i), layout));
  }
  return Emit(node, node.attrs, std::move(inputs), layout);
}

Value Lowering::LowerLastAxis(const Node& node, uint32_t axis) {
  const Value& input = Operand(node, 0);
  const Layout layout = input.layout.back() == axis ? input.layout : WithLast(input.layout, axis);
  graph::Attributes attrs = node.attrs;
  if (node.kind() == graph::OpKind::kSoftmax) {
    attrs = graph::Softmax{input.shape.rank() - 1};
  }
  return Emit(node, std::move(attrs), {InLayout(input, layout)}, layout);
}

Value Lowering::LowerDense(const Node& node) {
  const Value& input = Operand(node, 0);
  const uint32_t axis = input.shape.rank() - 1;
  const bool by_range = node.integer.in_source == graph::QuantizationSource::kTensor;
  Layout layout = input.layout.back() == axis ? input.layout : WithLast(input.layout, axis);
  if (by_range) layout = ImagesFirst(layout);
  std::vector<TensorIndex> inputs = {InLayout(input, layout)};
  if (by_range) {
    inputs.push_back(RangeOperand(node));
  } else if (node.inputs.size() == 2) {
    inputs.push_back(InLayout(Operand(node, 1), layout));
  }
  if (input.flattened_from.rank() == 0) return Emit(node, node.attrs, std::move(inputs), layout);
  Node flat = node;
  auto source = node.source == nullptr ? std::make_shared<graph::WeightSource>()
                                       : std::make_shared<graph::WeightSource>(*node.source);
  source->flattened_from = input.flattened_from;
  flat.source = std::move(source);
  return Emit(flat, node.attrs, std::move(inputs), layout);
}

Value Lowering::LowerMatMul(const Node& node) {
  const uint32_t rank = logical_.shape(node.output).rank();
  const Value a = WithRank(Operand(node, 0), rank);
  const Value b = WithRank(Operand(node, 1), rank);
  const Layout straight = IdentityLayout(rank);
  Layout swapped = straight;
  std::swap(swapped[rank - 1], swapped[rank - 2]);
  auto attrs = std::get<graph::MatMul>(node.attrs);
  // b may lie either way round: the one that it has, or else the one that keeps its last axis.
  const bool flip = !SameOrder(b.shape, b.layout, straight) &&
                    (SameOrder(b.shape, b.layout, swapped) || b.layout.back() == rank - 2);
  if (flip) {
    attrs.transpose_b = attrs.transpose_b == graph::TransposeB::kYes ? graph::TransposeB::kNo
                                                                     : graph::TransposeB::kYes;
  }
  const TensorIndex left = InLayout(a, straight);
  const TensorIndex right = InLayout(b, flip ? swapped : straight);
  return Emit(node, attrs, {left, right}, straight);
}

Value Lowering::LowerAttention(const Node& node) {
  const Layout layout = {0, 2, 1, 3};  // tokens, heads, channels
  auto attention = std::get<graph::Attention>(node.attrs);
  if (attention.mask != graph::AttentionMask::kConstant) return LowerSequence(node, layout);
  Node lowered = node;
  auto source = std::make_shared<graph::WeightSource>(*node.source);
  source->weight = Permuted(*node.source->weight, attention.mask_shape, layout);
  attention.mask_shape = source->weight->shape;
  lowered.attrs = attention;
  lowered.source = std::move(source);
  return LowerSequence(lowered, layout);
}

}  // namespace coracle::passes
