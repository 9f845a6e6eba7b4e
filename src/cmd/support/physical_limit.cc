#include "cmd/support/physical_limit.h"

#include <algorithm>

#include "kernels/kernel.h"
#include "kernels/winograd.h"

namespace coracle::cmd {
namespace {

bool MultipliesMatrices(const graph::Node& node) {
  switch (node.kind()) {
    case graph::OpKind::kConv:
    case graph::OpKind::kConvTranspose:
    case graph::OpKind::kDense:
    case graph::OpKind::kMatMul:
    case graph::OpKind::kRecurrence:
    case graph::OpKind::kAttention:
      return true;
    default:
      return false;
  }
}

/// Products of bytes that a multiply-add of float32 has the time of (VNNI).
constexpr uint64_t kProductsPerMultiplyAdd = 4;

}  // namespace

uint64_t ArithmeticOf(const graph::Graph& graph) {
  uint64_t total = 0;
  for (const graph::Node& node : graph.nodes) {
    if (!MultipliesMatrices(node)) continue;
    const uint64_t side = kernels::WinogradOutputs(node);
    const uint64_t direct = kernels::MultiplyAdds(graph, node);
    if (node.weight_type == graph::WeightType::kDot8) {
      total += direct / kProductsPerMultiplyAdd;
      continue;
    }
    total += side == 1 ? direct
                       : direct * (side + 2) * (side + 2) / (side * side * kernels::kWinogradTaps);
  }
  return total;
}

double LimitMs(const PhysicalWork& work, const runtime::MachinePeaks& peaks, double aead_gbps,
               uint32_t workers) {
  constexpr double kMsPerGiga = 1e-6;  // a count over a rate in units of 1e9 a second
  const auto opened = static_cast<double>(work.opened_bytes);
  const double computing = 2 * static_cast<double>(work.multiply_adds) / peaks.fma_gflops;
  const double busy = (computing + opened / aead_gbps) / workers;
  return kMsPerGiga * std::max(busy, opened / peaks.read_gbps);
}

}  // namespace coracle::cmd
