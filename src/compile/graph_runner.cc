#include "compile/graph_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/checked.h"
#include "kernels/fp_mode.h"
#include "kernels/packing.h"
#include "plan/node_cost.h"
#include "runtime/ports.h"

namespace coracle::compile {
namespace {

using graph::Graph;
using graph::Node;
using graph::TensorIndex;

plan::Placement DensePlacement(const Graph& graph, TensorIndex tensor) {
  const graph::RowShape shape = graph::RowsOf(graph.shape(tensor));
  const uint64_t element = DTypeBytes(graph.tensor(tensor).dtype);
  return {0, shape.RowElements() * element, shape.channels * element};
}

Status CheckKernels(const Graph& graph, const kernels::KernelSet& kernels) {
  for (const Node& node : graph.nodes) {
    const bool integer = node.weight_type == graph::WeightType::kDot8;
    const bool panels = kernels::PanelKernelOf(kernels, graph, node) != nullptr;
    if (panels || (!integer && kernels.rows[Position(node.kind())] != nullptr)) continue;
    return Error{Code::kUnsupported, fmt::format("{} '{}': no kernel of {} computes it",
                                                 OpName(node.kind()), node.name, kernels.name)};
  }
  return {};
}

}  // namespace

AlignedBytes::AlignedBytes(size_t count)
    : bytes_(new (kAlignment) std::byte[count]()), count_(count) {}

Result<GraphRunner> GraphRunner::Make(const Graph& graph, const kernels::KernelSet& kernels) {
  for (const graph::Port& port : graph.inputs) {
    if (graph.tensor(port.tensor).dtype == DType::kFloat32) continue;
    return Error{Code::kUnsupported, fmt::format("input '{}' is not float32", port.name)};
  }
  TRY(CheckKernels(graph, kernels));
  return GraphRunner(graph, kernels);
}

GraphRunner::GraphRunner(const Graph& graph, const kernels::KernelSet& kernels)
    : graph_(graph),
      kernels_(kernels),
      memory_(graph.tensors.size()),
      reader_count_(graph.tensors.size(), 0) {
  uint64_t workspace = 0;
  uint32_t chunk = 0;
  for (const Node& node : graph.nodes) {
    for (const TensorIndex input : node.inputs) ++reader_count_[Position(input)];
    workspace = std::max(workspace, kernels::WorkspaceBytes(graph, node));
    const bool constant = kernels::PanelKernelOf(kernels, graph, node) == nullptr;
    chunk = std::max(chunk, constant ? static_cast<uint32_t>(node.weights.TotalBytes())
                                     : node.weights.LargestChunkBytes());
  }
  for (const graph::Port& port : graph.outputs) ++reader_count_[Position(port.tensor)];
  workspace_ = AlignedBytes(workspace);
  chunk_ = AlignedBytes(chunk);
}

Status GraphRunner::Run(std::span<const std::vector<float>> inputs, const Visitor& visit) {
  CORACLE_CHECK(inputs.size() == graph_.inputs.size());
  const kernels::ScopedFlushSubnormals flush;
  for (AlignedBytes& memory : memory_) memory = {};
  left_ = reader_count_;
  const auto show = [&](TensorIndex tensor) -> Status {
    return visit ? visit(tensor, memory_[Position(tensor)].span()) : Status();
  };
  for (size_t i = 0; i < inputs.size(); ++i) {
    FillInput(graph_.inputs[i], inputs[i]);
    TRY(show(graph_.inputs[i].tensor));
  }
  for (const Node& node : graph_.nodes) {
    Reserve(node.output);
    Compute(node);
    TRY(show(node.output));
    Release(node);
  }
  return {};
}

std::vector<std::vector<float>> GraphRunner::Outputs() const {
  std::vector<std::vector<float>> outputs;
  for (const graph::Port& port : graph_.outputs) {
    const runtime::PortMap map(graph_, port, DensePlacement(graph_, port.tensor));
    std::vector<float>& values = outputs.emplace_back(port.shape.Elements());
    map.Read(0, values, reinterpret_cast<const float*>(memory_[Position(port.tensor)].data()));
  }
  return outputs;
}

void GraphRunner::FillInput(const graph::Port& port, std::span<const float> values) {
  CORACLE_CHECK(values.size() == port.shape.Elements());
  Reserve(port.tensor);
  const runtime::PortMap map(graph_, port, DensePlacement(graph_, port.tensor));
  map.Write(0, values, reinterpret_cast<float*>(memory_[Position(port.tensor)].data()));
}

void GraphRunner::Reserve(TensorIndex tensor) {
  const graph::Tensor& info = graph_.tensor(tensor);
  memory_[Position(tensor)] = AlignedBytes(info.shape.Elements() * DTypeBytes(info.dtype));
}

kernels::Rows GraphRunner::RowsAt(TensorIndex tensor, bool per_image, uint32_t image) const {
  const graph::RowShape shape = graph::RowsOf(graph_.shape(tensor));
  kernels::Rows rows;
  rows.base = memory_[Position(tensor)].data();
  rows.element_bytes = DTypeBytes(graph_.tensor(tensor).dtype);
  rows.row_stride = static_cast<ptrdiff_t>(shape.RowElements());
  rows.pixel_stride = static_cast<ptrdiff_t>(shape.channels);
  rows.rows = per_image ? shape.rows : static_cast<uint32_t>(shape.AllRows());
  rows.pixels = shape.pixels;
  rows.channels = shape.channels;
  // An operand with fewer images than the result is broadcast over them.
  const uint64_t own_image = shape.images == 1 ? 0 : image;
  if (per_image) rows.SkipRows(own_image * shape.rows);
  return rows;
}

void GraphRunner::Compute(const Node& node) {
  const bool per_image = kernels::PerImage(graph_, node);
  const uint32_t count = per_image ? graph::RowsOf(graph_.shape(node.output)).images : 1;
  std::vector<kernels::Rows> operands;
  for (uint32_t image = 0; image < count; ++image) {
    for (const TensorIndex input : node.inputs) {
      operands.push_back(RowsAt(input, per_image, image));
    }
  }
  std::vector<kernels::Image> images;
  for (uint32_t image = 0; image < count; ++image) {
    images.push_back({std::span(operands).subspan(image * node.inputs.size(), node.inputs.size()),
                      RowsAt(node.output, per_image, image)});
  }
  const kernels::PanelKernel kernel = kernels::PanelKernelOf(kernels_, graph_, node);
  if (kernel != nullptr) return ComputePanels(node, kernel, images);
  ComputeRows(node, images);
}

void GraphRunner::ComputePanels(const Node& node, kernels::PanelKernel kernel,
                                std::span<const kernels::Image> images) {
  const kernels::RowRange rows{0, plan::OutputRows(graph_, node)};
  for (const graph::ChunkDescriptor& chunk : node.weights.chunks) {
    kernels::PackChunk(graph_, node, chunk, chunk_.span().first(chunk.bytes));
    kernel({.graph = &graph_,
            .node = &node,
            .images = images,
            .chunk = &chunk,
            .weights = chunk_.data(),
            .workspace = workspace_.span(),
            .prefetch = nullptr},
           rows);
  }
}

void GraphRunner::ComputeRows(const Node& node, std::span<const kernels::Image> images) {
  uint64_t packed = 0;
  for (const graph::ChunkDescriptor& chunk : node.weights.chunks) {
    kernels::PackChunk(graph_, node, chunk, chunk_.span().subspan(packed, chunk.bytes));
    packed += chunk.bytes;
  }
  const auto* const constants =
      packed == 0 ? nullptr : reinterpret_cast<const float*>(chunk_.data());
  kernels_.rows[Position(node.kind())]({&graph_, &node, images, constants, workspace_.span()},
                                       {0, plan::OutputRows(graph_, node)});
}

void GraphRunner::Release(const Node& node) {
  const auto release = [this](TensorIndex tensor) {
    if (left_[Position(tensor)] == 0) memory_[Position(tensor)] = {};
  };
  for (const TensorIndex input : node.inputs) {
    --left_[Position(input)];
    release(input);
  }
  release(node.output);
}

}  // namespace coracle::compile
