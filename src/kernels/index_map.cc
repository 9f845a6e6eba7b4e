#include "kernels/index_map.h"

#include <algorithm>

namespace coracle::kernels {
namespace {

using graph::Graph;
using graph::Node;

ElementSource ConcatSource(const Graph& graph, const Node& node, const Index& out) {
  const uint32_t axis = std::get<graph::Concat>(node.attrs).axis;
  ElementSource source{.index = out};
  for (; source.operand < node.inputs.size(); ++source.operand) {
    const uint32_t dim = graph.shape(node.inputs[source.operand])[axis];
    if (source.index[axis] < dim) return source;
    source.index[axis] -= dim;
  }
  CORACLE_CHECK(false);  // an output element lies in one of the inputs
  return source;
}

ElementSource SliceSource(const graph::Slice& slice, const Index& out) {
  ElementSource source;
  for (size_t axis = 0; axis < slice.starts.size(); ++axis) {
    source.index[axis] =
        static_cast<uint32_t>(slice.starts[axis] + int64_t{out[axis]} * slice.steps[axis]);
  }
  return source;
}

ElementSource TransposeSource(const graph::Transpose& transpose, const Index& out) {
  ElementSource source;
  for (size_t axis = 0; axis < transpose.perm.size(); ++axis) {
    source.index[transpose.perm[axis]] = out[axis];
  }
  return source;
}

ElementSource PaddedSource(const graph::Pad& pad, const Shape& in, const Index& out) {
  ElementSource source;
  for (uint32_t axis = 0; axis < in.rank(); ++axis) {
    const int64_t from = PadSource(pad.mode, pad.before[axis], in[axis], out[axis]);
    source.inside = source.inside && from >= 0;
    source.index[axis] = static_cast<uint32_t>(std::max<int64_t>(from, 0));
  }
  return source;
}

/// darknet's reorg_cpu (src/blas.c) with forward = 0: its arrays are C,H,W; ours H,W,C.
ElementSource ReorgSource(const graph::Reorg& reorg, const Shape& in, const Shape& out_shape,
                          const Index& out) {
  const uint64_t s = reorg.stride;
  const uint64_t height = in[1], width = in[2], channels = in[3];
  const uint64_t flat = (out[3] * uint64_t{out_shape[1]} + out[1]) * out_shape[2] + out[2];
  const uint64_t i = flat % width;
  const uint64_t j = flat / width % height;
  const uint64_t k = flat / (width * height);
  const uint64_t squeezed = channels / (s * s);
  const uint64_t offset = k / squeezed;
  const uint64_t x = i * s + offset % s;
  const uint64_t y = j * s + offset / s;
  const uint64_t from = x + width * s * (y + height * s * (k % squeezed));
  ElementSource source;
  source.index[0] = out[0];
  source.index[1] = static_cast<uint32_t>(from / width % height);
  source.index[2] = static_cast<uint32_t>(from % width);
  source.index[3] = static_cast<uint32_t>(from / (width * height));
  return source;
}

}  // namespace

Index IndexOf(const Shape& shape, uint64_t element) {
  Index index{};
  for (uint32_t axis = shape.rank(); axis-- > 0;) {
    index[axis] = static_cast<uint32_t>(element % shape[axis]);
    element /= shape[axis];
  }
  return index;
}

uint64_t ElementOf(const Shape& shape, const Index& index) {
  uint64_t element = 0;
  for (uint32_t axis = 0; axis < shape.rank(); ++axis)
    element = element * shape[axis] + index[axis];
  return element;
}

ElementSource SourceOf(const Graph& graph, const Node& node, const Index& out) {
  const Shape& in = graph.shape(node.inputs[0]);
  const Shape& out_shape = graph.shape(node.output);
  if (std::holds_alternative<graph::Concat>(node.attrs)) return ConcatSource(graph, node, out);
  if (const auto* slice = std::get_if<graph::Slice>(&node.attrs)) return SliceSource(*slice, out);
  if (const auto* transpose = std::get_if<graph::Transpose>(&node.attrs)) {
    return TransposeSource(*transpose, out);
  }
  if (const auto* pad = std::get_if<graph::Pad>(&node.attrs)) return PaddedSource(*pad, in, out);
  if (const auto* reorg = std::get_if<graph::Reorg>(&node.attrs)) {
    return ReorgSource(*reorg, in, out_shape, out);
  }
  CORACLE_CHECK(std::holds_alternative<graph::Reshape>(node.attrs));
  return {.index = IndexOf(in, ElementOf(out_shape, out))};
}

int64_t PadSource(graph::PadMode mode, uint32_t before, uint32_t dim, uint32_t out) {
  const int64_t last = int64_t{dim} - 1;
  const int64_t at = int64_t{out} - before;
  if (at >= 0 && at <= last) return at;
  switch (mode) {
    case graph::PadMode::kConstant:
      return -1;
    case graph::PadMode::kEdge:
      return std::clamp<int64_t>(at, 0, last);
    case graph::PadMode::kReflect:
      return at < 0 ? -at : 2 * last - at;
  }
  return -1;
}

uint64_t BroadcastElement(const Shape& out_shape, const Shape& operand, const Index& out) {
  const uint32_t skipped = out_shape.rank() - operand.rank();
  uint64_t element = 0;
  for (uint32_t axis = 0; axis < operand.rank(); ++axis) {
    element = element * operand[axis] + (operand[axis] == 1 ? 0 : out[axis + skipped]);
  }
  return element;
}

}  // namespace coracle::kernels
