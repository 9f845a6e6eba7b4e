#include "plan/cost.h"

#include <algorithm>

#include "kernels/kernel.h"
#include "plan/liveness.h"

namespace coracle::plan {
namespace {

// Estimates of fixed costs: dispatch of a step, one more action, one more sealed block, and two
// crossings of a spinning barrier. They order plans; they are not measurements.
constexpr double kStepMs = 0.002;
constexpr double kActionMs = 0.001;
constexpr double kBlockMs = 0.0003;
constexpr double kBarrierMs = 0.003;

constexpr double kPerMs = 1e6;  // a rate in G/s is this many units a millisecond

double Scaled(uint64_t units, double rate) { return static_cast<double>(units) / (rate * kPerMs); }

/// Bytes that computing the node moves and that no multiplication hides.
uint64_t MovedBytes(const graph::Graph& graph, const graph::Node& node) {
  const bool multiplies =
      node.kind() == graph::OpKind::kConv || node.kind() == graph::OpKind::kConvTranspose ||
      node.kind() == graph::OpKind::kDense || node.kind() == graph::OpKind::kMatMul;
  if (multiplies && !graph::IsDepthwise(graph, node)) return 0;
  uint64_t bytes = TensorBytes(graph, node.output);
  for (graph::TensorIndex input : node.inputs) bytes += TensorBytes(graph, input);
  return bytes;
}

}  // namespace

uint32_t PanelGroups(const graph::WeightLayout& weights) {
  uint32_t groups = 0;
  for (const graph::ChunkDescriptor& chunk : weights.chunks) {
    if (chunk.kind == graph::ChunkKind::kConstant) return 0;
    if (chunk.kind == graph::ChunkKind::kDepthwise || chunk.k_begin == 0) ++groups;
  }
  return groups;
}

uint32_t OutputRows(const graph::Graph& graph, const graph::Node& node) {
  const graph::RowShape rows = graph::RowsOf(graph.shape(node.output));
  return kernels::PerImage(graph, node) ? rows.rows : static_cast<uint32_t>(rows.AllRows());
}

double ComputeMs(const graph::Graph& graph, const graph::Node& node, uint32_t rows,
                 const MachineRates& rates) {
  const double share = static_cast<double>(rows) / OutputRows(graph, node);
  const double compute = Scaled(2 * kernels::MultiplyAdds(graph, node), rates.fma_gflops);
  const double move = Scaled(MovedBytes(graph, node), rates.copy_gbps);
  return (compute + move) * share + kActionMs;
}

double OpenMs(const graph::WeightLayout& weights, const MachineRates& rates) {
  return Scaled(weights.TotalBytes(), rates.aead_gbps);
}

double TransferMs(uint64_t bytes, uint64_t blocks, const MachineRates& rates) {
  return Scaled(bytes, rates.aead_gbps) + kBlockMs * static_cast<double>(blocks);
}

double ActionMs(const graph::Graph& graph, const graph::Node& node, uint32_t rows,
                const Manner& manner, const MachineRates& rates) {
  const double workers = manner.split == Split::kNone ? 1 : manner.workers;
  double ms = ComputeMs(graph, node, rows, rates) / workers;
  if (manner.weights == WeightsMode::kStreamed) {
    // Streamed by rows, every worker opens every chunk; by panels, each opens its own.
    ms += OpenMs(node.weights, rates) / (manner.split == Split::kPanels ? workers : 1);
  }
  return manner.workers > 1 ? ms + kBarrierMs : ms;
}

double StepMs(const graph::Graph& graph, const Plan& plan, const Step& step,
              const MachineRates& rates) {
  double ms = kStepMs;
  for (const Part& part : step.parts) {
    if (part.weights != WeightsMode::kHeld) continue;
    ms += OpenMs(graph.node(part.node).weights, rates) / step.workers;
  }
  for (const Action& action : step.actions) {
    if (action.kind == ActionKind::kCompute) {
      const Part& part = step.parts[action.index];
      ms += ActionMs(graph, graph.node(part.node), action.end - action.begin,
                     {part.weights, part.split, step.workers}, rates);
      continue;
    }
    const graph::TensorIndex tensor = step.windows[action.index].tensor;
    const uint64_t row_bytes = graph::RowsOf(graph.shape(tensor)).RowElements() * sizeof(float);
    const uint64_t rows = action.end - action.begin;
    const uint32_t block_rows = plan.tensors[Position(tensor)].block_rows;
    ms += TransferMs(rows * row_bytes, (rows + block_rows - 1) / std::max(block_rows, 1U), rates);
  }
  return ms;
}

}  // namespace coracle::plan
