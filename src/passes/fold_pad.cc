#include <algorithm>
#include <array>
#include <optional>

#include "graph/infer.h"
#include "graph/verify.h"
#include "passes/passes.h"
#include "passes/rewriter.h"

namespace coracle::passes {
namespace {

using graph::ActivationKind;
using graph::Node;
using graph::NodeIndex;
using graph::Window;

/// The window with the spatial pads added, or nothing if the Pad does more than add `zero` around
/// the image, or too many.
std::optional<Window> Widened(const graph::Graph& graph, const Node& pad_node, const Window& window,
                              float zero) {
  const auto* pad = std::get_if<graph::Pad>(&pad_node.attrs);
  if (pad == nullptr || pad->mode != graph::PadMode::kConstant || pad->value != zero ||
      pad->before.size() != 4) {
    return std::nullopt;
  }
  const uint32_t h = graph.stage == graph::Stage::kRows ? 1 : 2;
  for (uint32_t axis = 0; axis < 4; ++axis) {
    const bool spatial = axis == h || axis == h + 1;
    if (!spatial && (pad->before[axis] != 0 || pad->after[axis] != 0)) return std::nullopt;
  }
  Window wide = window;
  wide.pad_top += pad->before[h];
  wide.pad_left += pad->before[h + 1];
  wide.pad_bottom += pad->after[h];
  wide.pad_right += pad->after[h + 1];
  const uint32_t largest = std::max({wide.pad_top, wide.pad_left, wide.pad_bottom, wide.pad_right});
  if (largest > graph::kMaxKernel) return std::nullopt;
  return wide;
}

bool HasPadding(const Window& w) {
  return w.pad_top != 0 || w.pad_left != 0 || w.pad_bottom != 0 || w.pad_right != 0;
}

/// Verify's rule for pools: no window lies in the padding alone.
bool TouchesImage(const Window& w) {
  const uint32_t reach_h = (w.kernel_h - 1) * w.dilation_h + 1;
  const uint32_t reach_w = (w.kernel_w - 1) * w.dilation_w + 1;
  return std::max(w.pad_top, w.pad_bottom) < reach_h && std::max(w.pad_left, w.pad_right) < reach_w;
}

/// True if no element of the tensor can be negative.
bool IsNonNegative(const Node* producer) {
  if (producer == nullptr || producer->residual == graph::Residual::kAfterActivation) return false;
  switch (producer->activation.kind) {
    case ActivationKind::kRelu:
    case ActivationKind::kSigmoid:
    case ActivationKind::kHardSigmoid:
      return true;
    case ActivationKind::kClip:
      return producer->activation.a >= 0;
    default:
      return false;
  }
}

/// Pool over zero padding. An average that counted no padding of its own counts exactly the zeros
/// that it now stands for; a maximum over non-negative elements and zeros ignores the zeros.
std::optional<graph::Pool> FoldedPool(const graph::Pool& pool, const Window& wide,
                                      const Node* before_pad) {
  graph::Pool folded = pool;
  folded.window = wide;
  if (!TouchesImage(wide)) return std::nullopt;
  if (pool.kind == graph::PoolKind::kMax) {
    if (!IsNonNegative(before_pad) || wide.dilation_h != 1 || wide.dilation_w != 1) {
      return std::nullopt;
    }
    return folded;
  }
  if (HasPadding(pool.window) && pool.counting != graph::PadCounting::kIncludePad) {
    return std::nullopt;
  }
  folded.counting = graph::PadCounting::kIncludePad;
  return folded;
}

void Fold(Rewriter& rewriter, NodeIndex index) {
  const Node& node = rewriter.graph().node(index);
  if (node.kind() != graph::OpKind::kConv && node.kind() != graph::OpKind::kPool) return;
  const Node* pad = rewriter.Producer(node.inputs[0]);
  if (pad == nullptr) return;
  const auto* conv = std::get_if<graph::Conv>(&node.attrs);
  const auto* pool = std::get_if<graph::Pool>(&node.attrs);
  // What integer sums take outside of the image is what stands for zero.
  const bool integers = node.weight_type == graph::WeightType::kDot8;
  if (integers && node.integer.in_source == graph::QuantizationSource::kTensor) return;
  const float zero = integers ? static_cast<float>(node.integer.in_zero) : 0.0F;
  const auto wide = Widened(rewriter.graph(), *pad, conv ? conv->window : pool->window, zero);
  if (!wide) return;
  Node folded = node;
  folded.inputs[0] = pad->inputs[0];
  if (conv != nullptr) {
    graph::Conv attrs = *conv;
    attrs.window = *wide;
    folded.attrs = attrs;
  } else {
    const auto attrs = FoldedPool(*pool, *wide, rewriter.Producer(pad->inputs[0]));
    if (!attrs) return;
    folded.attrs = *attrs;
  }
  // In ceil mode the last window may now start past the image: then the Pad stays.
  const std::array<Shape, 1> shapes = {rewriter.graph().shape(folded.inputs[0])};
  const Shape& out = rewriter.graph().shape(node.output);
  const auto inferred = graph::InferShape(folded, shapes, rewriter.graph().stage, out);
  if (!inferred.ok() || *inferred != out) return;
  rewriter.SetNode(index, std::move(folded));
}

}  // namespace

size_t FoldPad(graph::Graph& graph) {
  Rewriter rewriter(graph);
  rewriter.ForEach([&](NodeIndex index) { Fold(rewriter, index); });
  return rewriter.Finish();
}

}  // namespace coracle::passes
