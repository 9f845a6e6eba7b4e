#include "graph/graph.h"

#include <utility>

#include "base/check.h"

namespace coracle::graph {

TensorIndex Graph::AddTensor(std::string name, Shape shape, DType dtype) {
  tensors.push_back({std::move(name), dtype, shape});
  return static_cast<TensorIndex>(tensors.size() - 1);
}

NodeIndex Graph::AddNode(Node node) {
  CORACLE_CHECK(Position(node.output) < tensors.size());
  for (TensorIndex input : node.inputs) CORACLE_CHECK(Position(input) < tensors.size());
  nodes.push_back(std::move(node));
  return static_cast<NodeIndex>(nodes.size() - 1);
}

bool IsDepthwise(const Graph& graph, const Node& node) {
  const Conv* conv = std::get_if<Conv>(&node.attrs);
  if (conv == nullptr || conv->groups < 2 || conv->groups != conv->out_channels) return false;
  const Shape& input = graph.shape(node.inputs.at(0));
  const uint32_t channel_axis = graph.stage == Stage::kRows ? input.rank() - 1 : 1;
  return input[channel_axis] == conv->groups;
}

uint64_t SumTerms(const Graph& graph, const Node& node) {
  const Shape& input = graph.shape(node.inputs.at(0));
  const Conv* conv = std::get_if<Conv>(&node.attrs);
  if (conv == nullptr) return input.Back(0);
  const uint32_t channel_axis = graph.stage == Stage::kRows ? input.rank() - 1 : 1;
  return uint64_t{input[channel_axis] / conv->groups} * conv->window.kernel_h *
         conv->window.kernel_w;
}

bool AllowsWinograd(const Graph& graph, const Node& node) {
  const Conv* conv = std::get_if<Conv>(&node.attrs);
  if (conv == nullptr || conv->groups != 1 || node.weight_type == WeightType::kDot8) return false;
  const Window& w = conv->window;
  return w.kernel_h == 3 && w.kernel_w == 3 && w.stride_h == 1 && w.stride_w == 1 &&
         w.dilation_h == 1 && w.dilation_w == 1 &&
         graph.shape(node.inputs.at(0)).Back(0) % kWinogradInputChannels == 0;
}

RowShape RowsOf(const Shape& shape) {
  RowShape rows;
  if (shape.rank() == 0) return rows;
  rows.channels = shape.Back(0);
  if (shape.rank() == 1) return rows;
  if (shape.rank() == 2) {
    rows.rows = shape[0];
    return rows;
  }
  rows.images = shape[0];
  rows.rows = shape[1];
  for (uint32_t axis = 2; axis + 1 < shape.rank(); ++axis) rows.pixels *= shape[axis];
  return rows;
}

}  // namespace coracle::graph
