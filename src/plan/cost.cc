#include "plan/cost.h"

#include "kernels/kernel.h"
#include "plan/liveness.h"

namespace coracle::plan {
namespace {

// Estimates of fixed costs: dispatch of a step, the calls of one more band, and two crossings of a
// spinning barrier. They order plans; they are not measurements.
constexpr double kStepMs = 0.002;
constexpr double kBandMs = 0.001;
constexpr double kBarrierMs = 0.003;

constexpr double kPerMs = 1e6;  // a rate in G/s is this many units a millisecond

uint32_t PanelGroups(const graph::WeightLayout& weights) {
  uint32_t groups = 0;
  for (const graph::ChunkDescriptor& chunk : weights.chunks) {
    if (chunk.kind == graph::ChunkKind::kConstant) return 0;
    if (chunk.kind == graph::ChunkKind::kDepthwise || chunk.k_begin == 0) ++groups;
  }
  return groups;
}

}  // namespace

Work WorkOf(const graph::Graph& graph, const graph::Node& node) {
  Work work;
  work.multiply_adds = kernels::MultiplyAdds(graph, node);
  work.weight_bytes = node.weights.TotalBytes();
  work.activation_bytes = TensorBytes(graph, node.output);
  for (graph::TensorIndex input : node.inputs) work.activation_bytes += TensorBytes(graph, input);
  const graph::RowShape rows = graph::RowsOf(graph.shape(node.output));
  work.rows = kernels::PerImage(graph, node) ? rows.rows : static_cast<uint32_t>(rows.AllRows());
  work.panel_groups = PanelGroups(node.weights);
  const bool multiplies =
      node.kind() == graph::OpKind::kConv || node.kind() == graph::OpKind::kConvTranspose ||
      node.kind() == graph::OpKind::kDense || node.kind() == graph::OpKind::kMatMul;
  if (!multiplies || graph::IsDepthwise(graph, node)) work.moved_bytes = work.activation_bytes;
  return work;
}

double PredictMs(const Work& work, const Manner& manner, const MachineRates& rates) {
  const double workers = manner.workers;
  const double compute =
      2.0 * static_cast<double>(work.multiply_adds) / (rates.fma_gflops * kPerMs) / workers;
  const double move = static_cast<double>(work.moved_bytes) / (rates.copy_gbps * kPerMs) / workers;
  const bool streamed = manner.weights == WeightsMode::kStreamed;
  // Streamed by rows, every worker opens every chunk; else each chunk is opened by one worker.
  const double openers = streamed && manner.split == Split::kRows ? 1.0 : workers;
  const double times = streamed ? manner.bands : 1.0;
  const double open =
      static_cast<double>(work.weight_bytes) * times / (rates.aead_gbps * kPerMs) / openers;
  const double barriers = manner.workers > 1 ? manner.bands : 0.0;
  return compute + move + open + kStepMs + kBandMs * (manner.bands - 1.0) + kBarrierMs * barriers;
}

}  // namespace coracle::plan
