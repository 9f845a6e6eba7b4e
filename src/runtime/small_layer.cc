#include "runtime/small_layer.h"

#include <utility>

#include "base/checked.h"
#include "kernels/packing.h"
#include "plan/node_cost.h"

namespace coracle::runtime {
namespace {

constexpr uint64_t kAlignment = 64;

uint64_t Aligned(const Shape& shape) {
  return RoundUp(shape.Elements(), kAlignment / sizeof(float));
}

}  // namespace

AlignedFloats::AlignedFloats(uint64_t count, float value) : memory_(count + kAlignment, value) {
  const auto address = reinterpret_cast<uintptr_t>(memory_.data());
  skip_ = (RoundUp(address, kAlignment) - address) / sizeof(float);
}

SmallLayer::SmallLayer(graph::Attributes attrs, const std::vector<Shape>& inputs,
                       const Shape& output, graph::Activation activation, DType dtype) {
  graph_.stage = graph::Stage::kRows;
  graph::Node node;
  for (const Shape& shape : inputs) node.inputs.push_back(graph_.AddTensor("in", shape, dtype));
  node.output = graph_.AddTensor("out", output, dtype);
  if (dtype == DType::kUint8) node.weight_type = graph::WeightType::kDot8;
  node.attrs = std::move(attrs);
  node.activation = activation;
  graph_.AddNode(std::move(node));
  graph::Node& added = graph_.nodes[0];
  added.weights = kernels::CutIntoChunks(graph_, added, graph::ChunkIndex{0});
}

uint64_t SmallLayer::FloatCount() const {
  uint64_t count = WeightFloats();
  for (const graph::Tensor& tensor : graph_.tensors) count += Aligned(tensor.shape);
  return count;
}

void SmallLayer::Place(float* memory) {
  weights_ = memory;
  memory += WeightFloats();
  for (const graph::TensorIndex input : node().inputs) {
    inputs_.push_back(RowsAt(input, memory));
    memory += Aligned(graph_.shape(input));
  }
  output_ = RowsAt(node().output, memory);
}

void SmallLayer::Run() const {
  const kernels::KernelSet& set = kernels::SimdKernels();
  const kernels::RowRange rows{0, plan::OutputRows(graph_, node())};
  const kernels::Image image{inputs_, output_};
  const kernels::RowKernel row_kernel = set.rows[Position(node().kind())];
  if (row_kernel != nullptr) {
    row_kernel({&graph_, &node(), {&image, 1}, weights_, {}}, rows);
    return;
  }
  const kernels::PanelKernel kernel = kernels::PanelKernelOf(set, graph_, node());
  const float* text = weights_;
  for (const graph::ChunkDescriptor& chunk : node().weights.chunks) {
    kernel({.graph = &graph_,
            .node = &node(),
            .images = {&image, 1},
            .chunk = &chunk,
            .weights = reinterpret_cast<const std::byte*>(text),
            .workspace = {},
            .prefetch = nullptr},
           rows);
    text += chunk.bytes / sizeof(float);
  }
}

kernels::Rows SmallLayer::RowsAt(graph::TensorIndex tensor, float* base) const {
  const graph::RowShape shape = graph::RowsOf(graph_.shape(tensor));
  return {.base = base,
          .row_stride = static_cast<ptrdiff_t>(shape.RowElements()),
          .pixel_stride = static_cast<ptrdiff_t>(shape.channels),
          .rows = shape.rows,
          .pixels = shape.pixels,
          .channels = shape.channels,
          .element_bytes = DTypeBytes(graph_.tensor(tensor).dtype)};
}

}  // namespace coracle::runtime
