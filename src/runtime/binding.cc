#include "runtime/binding.h"

#include <algorithm>

#include "base/check.h"

namespace coracle::runtime {
namespace {

constexpr uint64_t kFloatBytes = sizeof(float);

ptrdiff_t Floats(uint64_t bytes) { return static_cast<ptrdiff_t>(bytes / kFloatBytes); }

std::vector<ChunkGroup> GroupChunks(const graph::WeightLayout& weights) {
  std::vector<ChunkGroup> groups;
  for (uint32_t i = 0; i < weights.chunks.size(); ++i) {
    const graph::ChunkDescriptor& chunk = weights.chunks[i];
    const bool continues = chunk.kind == graph::ChunkKind::kPanels && chunk.k_begin > 0;
    if (continues) {
      groups.back().end = i + 1;
    } else {
      groups.push_back({i, i + 1});
    }
  }
  return groups;
}

/// End of the last byte of a tensor in the pool.
uint64_t TensorEnd(const graph::Graph& graph, const plan::Plan& plan, graph::TensorIndex tensor) {
  const graph::RowShape shape = graph::RowsOf(graph.shape(tensor));
  const plan::Placement& place = plan.placements.at(Position(tensor));
  return place.offset + (shape.AllRows() - 1) * place.row_stride_bytes +
         (shape.pixels - 1) * place.pixel_stride_bytes + shape.channels * kFloatBytes;
}

uint64_t StepEnd(const graph::Graph& graph, const plan::Plan& plan, const plan::Step& step) {
  const graph::Node& node = graph.node(step.node);
  uint64_t end = TensorEnd(graph, plan, node.output);
  for (const graph::TensorIndex input : node.inputs)
    end = std::max(end, TensorEnd(graph, plan, input));
  const auto include = [&end](const plan::PoolRange& range) {
    if (range.bytes > 0) end = std::max(end, range.offset + range.bytes);
  };
  for (const plan::PoolRange& slot : step.slots) include(slot);
  for (const plan::PoolRange& workspace : step.workspaces) include(workspace);
  include(step.held);
  return end;
}

void BindOperands(const graph::Graph& graph, const plan::Plan& plan, std::byte* pool,
                  BoundStep& bound) {
  const graph::Node& node = *bound.node;
  const bool per_image = kernels::PerImage(graph, node);
  const graph::RowShape out = graph::RowsOf(graph.shape(node.output));
  const uint32_t images = per_image ? out.images : 1;
  bound.output_rows = per_image ? out.rows : static_cast<uint32_t>(out.AllRows());
  bound.operands.reserve(size_t{images} * node.inputs.size());
  for (uint32_t image = 0; image < images; ++image) {
    for (const graph::TensorIndex input : node.inputs) {
      bound.operands.push_back(PlaceRows(graph, plan, input, pool, per_image, image));
    }
  }
  for (uint32_t image = 0; image < images; ++image) {
    const std::span<const kernels::Rows> all(bound.operands);
    bound.images.push_back({all.subspan(size_t{image} * node.inputs.size(), node.inputs.size()),
                            PlaceRows(graph, plan, node.output, pool, per_image, image)});
  }
}

void BindKernel(const graph::Graph& graph, const kernels::KernelSet& kernels, BoundStep& bound) {
  const graph::Node& node = *bound.node;
  switch (node.kind()) {
    case graph::OpKind::kConv:
      bound.panel_kernel = graph::IsDepthwise(graph, node) ? kernels.depthwise : kernels.panels;
      break;
    case graph::OpKind::kConvTranspose:
    case graph::OpKind::kDense:
      bound.panel_kernel = kernels.panels;
      break;
    default:
      bound.row_kernel = kernels.rows[static_cast<size_t>(node.kind())];
  }
  CORACLE_CHECK(bound.panel_kernel != nullptr || bound.row_kernel != nullptr);
}

}  // namespace

kernels::Rows PlaceRows(const graph::Graph& graph, const plan::Plan& plan,
                        graph::TensorIndex tensor, std::byte* pool, bool per_image,
                        uint32_t image) {
  const graph::RowShape shape = graph::RowsOf(graph.shape(tensor));
  const plan::Placement& place = plan.placements.at(Position(tensor));
  kernels::Rows rows;
  rows.row_stride = Floats(place.row_stride_bytes);
  rows.pixel_stride = Floats(place.pixel_stride_bytes);
  rows.rows = per_image ? shape.rows : static_cast<uint32_t>(shape.AllRows());
  rows.pixels = shape.pixels;
  rows.channels = shape.channels;
  // An operand with fewer images than the result is broadcast over them.
  const uint32_t own_image = shape.images == 1 ? 0 : image;
  rows.base = reinterpret_cast<float*>(pool + place.offset) +
              (per_image ? static_cast<ptrdiff_t>(own_image) * shape.rows * rows.row_stride : 0);
  return rows;
}

std::vector<BoundStep> BindSteps(const graph::Graph& graph, const plan::Plan& plan,
                                 const kernels::KernelSet& kernels, std::span<std::byte> pool) {
  CORACLE_CHECK(pool.size() >= plan.pool_bytes);
  std::vector<BoundStep> bound_steps;
  bound_steps.reserve(plan.steps.size());
  for (const plan::Step& step : plan.steps) {
    BoundStep& bound = bound_steps.emplace_back();
    bound.step = &step;
    bound.node = &graph.node(step.node);
    bound.end_bytes = StepEnd(graph, plan, step);
    if (step.elided) continue;
    bound.groups = GroupChunks(bound.node->weights);
    BindOperands(graph, plan, pool.data(), bound);
    BindKernel(graph, kernels, bound);
  }
  return bound_steps;
}

}  // namespace coracle::runtime
