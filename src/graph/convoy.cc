#include "graph/convoy.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "graph/ranges.h"
#include "graph/verify.h"

namespace coracle::graph {
namespace {

Error Refused(std::string_view what, const std::string& name, std::string_view why) {
  return Error{Code::kUnsupported,
               fmt::format("{} '{}' {}: this network computes one input at a time; use batch 1",
                           what, name, why)};
}

/// True if both have the same number of axes and the same extent along axis 0, so that a convoy's
/// entries meet their own.
bool Aligned(const Shape& a, const Shape& b) { return a.rank() == b.rank() && a[0] == b[0]; }

/// Ranges are found for each image: of a tensor of rank 2 the inputs of a convoy would be rows of
/// one (graph::RowsOf).
const char* WhyOneRange(const Shape& quantized) {
  return quantized.rank() < 3 ? "finds one range over the batch" : nullptr;
}

/// Why the node's result for a convoy would not be the results for its inputs, one behind the
/// other; null: it is. Every tensor has two axes at least.
const char* WhyMixed(const Graph& graph, const Node& node) {
  const Shape& out = graph.shape(node.output);
  switch (node.kind()) {
    case OpKind::kMatMul: {
      const Shape& a = graph.shape(node.inputs[0]);
      if (a.rank() < 3) return "multiplies matrices without a batch axis";
      if (!Aligned(a, graph.shape(node.inputs[1]))) return "broadcasts one operand over the batch";
      return nullptr;
    }
    case OpKind::kReduce: {
      const auto& axes = std::get<Reduce>(node.attrs).axes;
      return std::ranges::count(axes, 0U) > 0 ? "reduces the batch axis" : nullptr;
    }
    case OpKind::kSoftmax:
      return std::get<Softmax>(node.attrs).axis == 0 ? "normalizes over the batch axis" : nullptr;
    case OpKind::kBinary: {
      const auto& binary = std::get<Binary>(node.attrs);
      for (const TensorIndex input : node.inputs) {
        if (!Aligned(graph.shape(input), out)) return "broadcasts one operand over the batch";
      }
      const Shape& constant = binary.constant_shape;
      const bool spans = binary.operands != Operands::kTensors && constant.rank() >= out.rank() &&
                         constant[constant.rank() - out.rank()] != 1;
      return spans ? "has a constant with a batch axis" : nullptr;
    }
    case OpKind::kConcat:
      return std::get<Concat>(node.attrs).axis == 0 ? "joins along the batch axis" : nullptr;
    case OpKind::kSlice: {
      const auto& slice = std::get<Slice>(node.attrs);
      const bool whole =
          slice.starts[0] == 0 && slice.steps[0] == 1 && graph.shape(node.inputs[0])[0] == out[0];
      return whole ? nullptr : "cuts the batch axis";
    }
    case OpKind::kTranspose:
      return std::get<Transpose>(node.attrs).perm[0] == 0 ? nullptr : "moves the batch axis";
    case OpKind::kPad: {
      const auto& pad = std::get<Pad>(node.attrs);
      return pad.before[0] == 0 && pad.after[0] == 0 ? nullptr : "pads the batch axis";
    }
    case OpKind::kRowExtremes:
      return WhyOneRange(graph.shape(node.inputs[0]));
    case OpKind::kConv:
    case OpKind::kDense:
    case OpKind::kQuantize:
    case OpKind::kDequantize:
      return TakesRange(node) ? WhyOneRange(graph.shape(node.inputs[0])) : nullptr;
    default:  // each result row, or each image, is of one input; a Reshape keeps the order
      return nullptr;
  }
}

/// Longer by `batch` along axis 0, or nothing if that is beyond what a dimension may be.
Status Lengthen(Shape& shape, uint32_t batch, const std::string& name) {
  if (shape[0] > kMaxDimension / batch) {
    return Error{Code::kUnsupported,
                 fmt::format("'{}' is too large for a batch of {}", name, batch)};
  }
  shape.Set(0, shape[0] * batch);
  return {};
}

}  // namespace

Result<Graph> WithBatch(const Graph& graph, uint32_t batch) {
  if (batch == 0 || batch > kMaxBatch) {
    return Error{Code::kInvalidArgument,
                 fmt::format("batch is {}; 1 to {} are possible", batch, kMaxBatch)};
  }
  Graph all = graph;
  if (batch == 1) return all;
  for (Tensor& tensor : all.tensors) {
    if (tensor.shape.rank() < 2) return Refused("tensor", tensor.name, "has no batch axis");
    TRY(Lengthen(tensor.shape, batch, tensor.name));
  }
  for (auto* ports : {&all.inputs, &all.outputs}) {
    for (Port& port : *ports) {
      if (port.perm[0] != 0) return Refused("port", port.name, "does not begin with the batch");
      TRY(Lengthen(port.shape, batch, port.name));
    }
  }
  for (const Node& node : graph.nodes) {
    const char* const why = WhyMixed(graph, node);
    if (why != nullptr) return Refused(OpName(node.kind()), node.name, why);
  }
  TRY(Verify(all));
  return all;
}

Result<Convoy> Convoy::Make(const Graph& graph, uint32_t batch) {
  if (batch == 1) return Convoy(graph);
  TRY_ASSIGN(Graph all, WithBatch(graph, batch));
  return Convoy(graph, std::move(all), batch);
}

}  // namespace coracle::graph
