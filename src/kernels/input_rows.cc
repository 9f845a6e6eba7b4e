// InputRows: the row geometry of every operator.
#include <algorithm>

#include "base/checked.h"
#include "graph/ranges.h"
#include "kernels/index_map.h"
#include "kernels/kernel.h"
#include "kernels/resize_axis.h"
#include "kernels/window_axis.h"

namespace coracle::kernels {
namespace {

using graph::Graph;
using graph::Node;
using graph::OpKind;

/// A box of elements: [low, high] along each axis, both included.
struct Box {
  Index low{};
  Index high{};
  bool empty = false;
};

uint64_t RowsIn(const Graph& graph, const Node& node, const Shape& shape) {
  const graph::RowShape rows = graph::RowsOf(shape);
  return PerImage(graph, node) ? rows.rows : rows.AllRows();
}

RowRange Clip(int64_t begin, int64_t end, uint32_t rows) {
  const int64_t low = std::clamp<int64_t>(begin, 0, rows);
  const int64_t high = std::clamp<int64_t>(end, 0, rows);
  if (low >= high) return {0, 0};
  return {static_cast<uint32_t>(low), static_cast<uint32_t>(high)};
}

RowRange WindowRows(const WindowAxis& axis, uint32_t rows_in, RowRange rows) {
  return Clip(axis.Input(rows.begin, 0), axis.Input(rows.end - 1, axis.kernel - 1) + 1, rows_in);
}

/// A granule is computed whole, however little of it is wanted.
RowRange ConvRows(const Node& node, uint32_t rows_in, RowRange rows) {
  const uint32_t granule = RowGranule(node);
  const RowRange whole{rows.begin / granule * granule,
                       static_cast<uint32_t>(RoundUpToMultiple(rows.end, granule))};
  return WindowRows(VerticalAxis(std::get<graph::Conv>(node.attrs).window), rows_in, whole);
}

RowRange TransposedWindowRows(const WindowAxis& axis, uint32_t rows_in, RowRange rows) {
  // out + pad = in stride + tap dilation
  const int64_t reach = int64_t{axis.kernel - 1} * axis.dilation;
  const int64_t least = int64_t{rows.begin} + axis.pad_begin - reach;
  const int64_t most = int64_t{rows.end} - 1 + axis.pad_begin;
  const int64_t begin = least <= 0 ? 0 : (least + axis.stride - 1) / axis.stride;
  return Clip(begin, most / axis.stride + 1, rows_in);
}

RowRange ResizeRows(const graph::Resize& resize, const Shape& in, const Shape& out, RowRange rows) {
  const ResizeTap first = TapOf(resize, resize.scale_h, in[1], out[1], rows.begin);
  const ResizeTap last = TapOf(resize, resize.scale_h, in[1], out[1], rows.end - 1);
  return {first.low, last.high + 1};
}

RowRange RecurrenceRows(const graph::Recurrence& recurrence, uint32_t operand, uint32_t rows_in,
                        RowRange rows) {
  if (operand > 0) return rows.begin == 0 ? RowRange{0, 1} : RowRange{0, 0};
  if (recurrence.order == graph::TimeOrder::kForward) return rows;
  return {rows_in - rows.end, rows_in - rows.begin};
}

/// The smallest box that holds output rows `rows` (of the whole tensor).
Box BoxOf(const Shape& shape, RowRange rows) {
  Box box;
  for (uint32_t axis = 0; axis < shape.rank(); ++axis) box.high[axis] = shape[axis] - 1;
  if (shape.rank() == 2) {
    box.low[0] = rows.begin;
    box.high[0] = rows.end - 1;
  }
  if (shape.rank() < 3) return box;
  box.low[0] = rows.begin / shape[1];
  box.high[0] = (rows.end - 1) / shape[1];
  if (box.low[0] == box.high[0]) {
    box.low[1] = rows.begin % shape[1];
    box.high[1] = (rows.end - 1) % shape[1];
  }
  return box;
}

RowRange RowsOfBox(const Shape& shape, const Box& box) {
  if (box.empty) return {0, 0};
  const graph::RowShape rows = graph::RowsOf(shape);
  const uint64_t row_elements = rows.RowElements();
  return {static_cast<uint32_t>(ElementOf(shape, box.low) / row_elements),
          static_cast<uint32_t>(ElementOf(shape, box.high) / row_elements + 1)};
}

Box ConcatBox(const Graph& graph, const Node& node, uint32_t operand, Box box) {
  const uint32_t axis = std::get<graph::Concat>(node.attrs).axis;
  uint32_t offset = 0;
  for (uint32_t i = 0; i < operand; ++i) offset += graph.shape(node.inputs[i])[axis];
  const uint32_t end = offset + graph.shape(node.inputs[operand])[axis];
  box.empty = box.low[axis] >= end || box.high[axis] < offset;
  box.low[axis] = std::max(box.low[axis], offset) - offset;
  box.high[axis] = std::min(box.high[axis], end - 1) - offset;
  return box;
}

Box SliceBox(const graph::Slice& slice, const Box& out) {
  Box box;
  for (size_t axis = 0; axis < slice.starts.size(); ++axis) {
    const int64_t a = slice.starts[axis] + int64_t{out.low[axis]} * slice.steps[axis];
    const int64_t b = slice.starts[axis] + int64_t{out.high[axis]} * slice.steps[axis];
    box.low[axis] = static_cast<uint32_t>(std::min(a, b));
    box.high[axis] = static_cast<uint32_t>(std::max(a, b));
  }
  return box;
}

Box PadBox(const graph::Pad& pad, const Shape& in, const Box& out) {
  Box box;
  for (uint32_t axis = 0; axis < in.rank(); ++axis) {
    int64_t low = in[axis];
    int64_t high = -1;
    for (uint32_t at = out.low[axis]; at <= out.high[axis]; ++at) {
      const int64_t from = PadSource(pad.mode, pad.before[axis], in[axis], at);
      if (from < 0) continue;
      low = std::min(low, from);
      high = std::max(high, from);
    }
    box.empty = box.empty || high < low;
    box.low[axis] = static_cast<uint32_t>(low);
    box.high[axis] = static_cast<uint32_t>(std::max<int64_t>(high, 0));
  }
  return box;
}

Box TransposeBox(const graph::Transpose& transpose, const Box& out) {
  Box box;
  for (size_t axis = 0; axis < transpose.perm.size(); ++axis) {
    box.low[transpose.perm[axis]] = out.low[axis];
    box.high[transpose.perm[axis]] = out.high[axis];
  }
  return box;
}

/// `whole_from`: the first axis of which the operand's whole extent is read.
Box BroadcastBox(const Shape& operand, const Box& out, uint32_t skipped, uint32_t whole_from) {
  Box box;
  for (uint32_t axis = 0; axis < operand.rank(); ++axis) {
    const bool whole = axis >= whole_from;
    const bool one = operand[axis] == 1;
    box.low[axis] = whole || one ? 0 : out.low[axis + skipped];
    box.high[axis] = whole ? operand[axis] - 1 : one ? 0 : out.high[axis + skipped];
  }
  return box;
}

RowRange ReshapeRows(const Shape& in, const Shape& out, RowRange rows) {
  const uint64_t out_row = graph::RowsOf(out).RowElements();
  const uint64_t in_row = graph::RowsOf(in).RowElements();
  return {static_cast<uint32_t>(rows.begin * out_row / in_row),
          static_cast<uint32_t>(CeilDiv(rows.end * out_row, in_row))};
}

/// Operators that see whole tensors.
RowRange WholeTensorRows(const Graph& graph, const Node& node, uint32_t operand, RowRange rows) {
  const Shape& in = graph.shape(node.inputs[operand]);
  const Shape& out = graph.shape(node.output);
  const Box box = BoxOf(out, rows);
  switch (node.kind()) {
    case OpKind::kMatMul:
      return RowsOfBox(in, BroadcastBox(in, box, 0, in.rank() - (operand == 0 ? 1 : 2)));
    case OpKind::kReduce:
      return rows;
    case OpKind::kBinary:
      return RowsOfBox(in, BroadcastBox(in, box, out.rank() - in.rank(), in.rank()));
    case OpKind::kConcat:
      return RowsOfBox(in, ConcatBox(graph, node, operand, box));
    case OpKind::kSlice:
      return RowsOfBox(in, SliceBox(std::get<graph::Slice>(node.attrs), box));
    case OpKind::kTranspose:
      return RowsOfBox(in, TransposeBox(std::get<graph::Transpose>(node.attrs), box));
    case OpKind::kPad:
      return RowsOfBox(in, PadBox(std::get<graph::Pad>(node.attrs), in, box));
    default:
      CORACLE_CHECK(node.kind() == OpKind::kReshape);
      return ReshapeRows(in, out, rows);
  }
}

}  // namespace

RowRange InputRows(const Graph& graph, const Node& node, uint32_t operand, RowRange rows) {
  CORACLE_CHECK(operand < node.inputs.size());
  if (rows.begin >= rows.end) return {0, 0};
  const Shape& in = graph.shape(node.inputs[operand]);
  const auto rows_in = static_cast<uint32_t>(RowsIn(graph, node, in));
  const bool residual =
      node.residual != graph::Residual::kNone && operand + 1 == node.inputs.size();
  if (residual) return rows;
  if (graph::IsRange(node, operand)) return {0, rows_in};
  switch (node.kind()) {
    case OpKind::kConv:
      return ConvRows(node, rows_in, rows);
    case OpKind::kPool:
      return WindowRows(VerticalAxis(std::get<graph::Pool>(node.attrs).window), rows_in, rows);
    case OpKind::kConvTranspose:
      return TransposedWindowRows(VerticalAxis(std::get<graph::ConvTranspose>(node.attrs).window),
                                  rows_in, rows);
    case OpKind::kResize:
      return ResizeRows(std::get<graph::Resize>(node.attrs), in, graph.shape(node.output), rows);
    case OpKind::kReorg:
    case OpKind::kQuantizationRange:
      return {0, rows_in};
    case OpKind::kRecurrence:
      return RecurrenceRows(std::get<graph::Recurrence>(node.attrs), operand, rows_in, rows);
    case OpKind::kAttention:  // queries and mask by row; every key and value
      return operand == 0 || (operand == 3 && rows_in > 1) ? rows : RowRange{0, rows_in};
    default:
      break;
  }
  if (!PerImage(graph, node)) return WholeTensorRows(graph, node, operand, rows);
  return node.kind() == OpKind::kReduce ? RowRange{0, rows_in} : rows;
}

}  // namespace coracle::kernels
