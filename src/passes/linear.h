// Nodes that scale and shift: Affine, and Binary Mul/Add/Sub/Div with a constant, seen alike.
#pragma once

#include <optional>
#include <vector>

#include "graph/graph.h"
#include "passes/rewriter.h"

namespace coracle::passes {

/// The axis that Affine and Conv call channels: 1 in kLogical, the last in kRows.
uint32_t ChannelAxis(const graph::Graph& graph, const Shape& shape);

/// y = x scale + shift. Each vector has one value for all, or one per index of the asked-for axis.
struct Linear {
  graph::TensorIndex input{};
  std::vector<double> scale = {1};
  std::vector<double> shift = {0};

  bool Uniform() const { return scale.size() == 1 && shift.size() == 1; }
  bool OnlyScales() const;
  double ScaleAt(size_t i) const { return scale.size() == 1 ? scale[0] : scale[i]; }
  double ShiftAt(size_t i) const { return shift.size() == 1 ? shift[0] : shift[i]; }
};

/// What `node` does before its activation, if that is a scale and shift along `axis` of its input
/// (whose shape it keeps).
std::optional<Linear> MatchLinear(const graph::Graph& graph, const graph::Node& node,
                                  uint32_t axis);

/// MatchLinear for one scale and one shift, of a node without an activation.
std::optional<Linear> MatchScalarLinear(const graph::Graph& graph, const graph::Node& node);

/// `tensor` as scale x + shift of `x`, through at most three scalar nodes. {1, 0} if they are the
/// same.
struct ScaleShift {
  double scale = 1;
  double shift = 0;
};
std::optional<ScaleShift> MatchLinearOf(const Rewriter& rewriter, graph::TensorIndex tensor,
                                        graph::TensorIndex x);

/// `outer` after `inner`, over `count` channels where either is not uniform. The input is inner's.
Linear Compose(const Linear& inner, const Linear& outer, size_t count);

/// The elements of a small float32 constant.
std::vector<float> FloatsOf(const graph::Constant& constant);

/// `values` as floats, `count` of them; empty if all equal `neutral`.
std::vector<float> ToChannels(const std::vector<double>& values, size_t count, double neutral);

/// A copy of the node's source (an empty one if it has none), to be changed; weights are shared.
graph::WeightSource CopySource(const graph::Node& node);
/// Multiplies the source's scale and bias by linear.scale and adds linear.shift.
void ApplyToSource(const Linear& linear, size_t channels, graph::WeightSource& source);

}  // namespace coracle::passes
