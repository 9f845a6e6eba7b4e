#include "integer_layer.h"

#include <memory>
#include <random>
#include <span>

#include "base/check.h"
#include "graph/infer.h"
#include "kernels/packing.h"

namespace coracle::bench {
namespace {

constexpr size_t kAlignment = 64;

size_t SkipOf(const std::vector<std::byte>& bytes) {
  return (kAlignment - reinterpret_cast<uintptr_t>(bytes.data()) % kAlignment) % kAlignment;
}

kernels::Rows DenseRows(uint8_t* base, const graph::RowShape& shape) {
  return {.base = base,
          .row_stride = static_cast<ptrdiff_t>(shape.RowElements()),
          .pixel_stride = static_cast<ptrdiff_t>(shape.channels),
          .rows = shape.rows,
          .pixels = shape.pixels,
          .channels = shape.channels,
          .element_bytes = 1};
}

}  // namespace

IntegerLayer::IntegerLayer(const kernels::LayerShape& shape) {
  std::mt19937 random(1);
  const graph::Window& w = shape.window;
  const Shape in{1, shape.height, shape.width, shape.inputs};
  graph::Node node;
  uint32_t taps = 1;
  if (shape.kind == graph::OpKind::kConv) {
    node.attrs = graph::Conv{w, shape.groups, shape.outputs};
    taps = w.kernel_h * w.kernel_w;
  } else {
    node.attrs = graph::Dense{shape.outputs};
  }
  const Result<Shape> out = graph::InferShape(node, std::span(&in, 1), graph::Stage::kRows, {});
  CORACLE_CHECK(out.ok());
  graph_.stage = graph::Stage::kRows;
  node.inputs = {graph_.AddTensor("in", in, DType::kUint8)};
  node.output = graph_.AddTensor("out", out.value(), DType::kUint8);
  node.activation = shape.activation;
  node.weight_type = graph::WeightType::kDot8;
  node.integer = {.in_zero = 128, .out = {1, 128}};
  weights_.resize(size_t{shape.inputs} / shape.groups * shape.outputs * taps);
  for (int8_t& weight : weights_) weight = static_cast<int8_t>(random());
  auto weight = std::make_shared<graph::Constant>();
  weight->dtype = DType::kInt8;
  weight->bytes = std::as_bytes(std::span(weights_));
  auto source = std::make_shared<graph::WeightSource>();
  source->weight = weight;
  source->dense_order = graph::DenseOrder::kOutputsByInputs;
  source->scale.assign(shape.outputs, 0.001F);
  source->bias.assign(shape.outputs, 0.5F);
  node.source = source;
  node.weights = kernels::CutIntoChunks(graph_, node, graph::ChunkIndex{});
  graph_.AddNode(node);
  for (const graph::ChunkDescriptor& chunk : node.weights.chunks) {
    texts_.push_back({.bytes = std::vector<std::byte>(chunk.bytes + kAlignment)});
    Text& text = texts_.back();
    text.aligned = text.bytes.data() + SkipOf(text.bytes);
    kernels::PackChunk(graph_, node, chunk,
                       std::span(text.bytes).subspan(SkipOf(text.bytes), chunk.bytes));
  }
  input_.resize(in.Elements());
  for (uint8_t& x : input_) x = static_cast<uint8_t>(random());
  output_.resize(out.value().Elements());
  input_rows_ = DenseRows(input_.data(), graph::RowsOf(in));
  output_rows_ = DenseRows(output_.data(), graph::RowsOf(out.value()));
  workspace_.resize(kernels::WorkspaceBytes(graph_, node) + kAlignment);
  kernel_ = kernels::PanelKernelOf(kernels::SimdKernels(), graph_, node);
}

void IntegerLayer::Run() {
  const graph::Node& node = graph_.nodes[0];
  const kernels::Image image{std::span(&input_rows_, 1), output_rows_};
  const auto workspace = std::span(workspace_).subspan(SkipOf(workspace_));
  for (size_t i = 0; i < texts_.size(); ++i) {
    kernel_({.graph = &graph_,
             .node = &node,
             .images = std::span(&image, 1),
             .chunk = &node.weights.chunks[i],
             .weights = texts_[i].aligned,
             .workspace = workspace},
            {0, output_rows_.rows});
  }
}

}  // namespace coracle::bench
