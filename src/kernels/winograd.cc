#include "kernels/winograd.h"

#include <algorithm>

#include "base/checked.h"
#include "kernels/packing.h"
#include "kernels/panel_text.h"

namespace coracle::kernels {
namespace {

/// Most input channels of a run: their transformed weights (36 x 64 x 64 floats) stay in the
/// second-level cache, and longer runs were no faster.
constexpr uint32_t kInputsMax = 64;
/// Floats between matrices.
constexpr uint64_t kApart = 32;

}  // namespace

uint32_t WinogradOutputs(const graph::Node& node) {
  const auto* conv = std::get_if<graph::Conv>(&node.attrs);
  if (conv == nullptr) return 1;
  switch (conv->algorithm) {
    case graph::ConvAlgorithm::kWinograd2:
      return 2;
    case graph::ConvAlgorithm::kWinograd4:
      return 4;
    default:
      return 1;
  }
}

bool IsWinograd(const graph::Node& node) { return WinogradOutputs(node) > 1; }

uint32_t WinogradInputsMax(const graph::Graph& graph, const graph::Node& node) {
  const uint32_t inputs = graph.shape(node.inputs[0]).Back(0);
  const uint64_t runs = CeilDiv(inputs, kInputsMax);
  return static_cast<uint32_t>(RoundUp(CeilDiv(inputs, runs), graph::kWinogradInputChannels));
}

WinogradSpace::WinogradSpace(uint32_t outputs, uint64_t tiles, uint32_t inputs, uint32_t columns)
    : products((outputs + 2) * (outputs + 2)),
      weight_matrices(tiles <= kWinogradTilesMax ? 2 * (outputs + 2) : products),
      weight_stride(uint64_t{inputs} * columns + kApart),
      input_stride(std::min<uint64_t>(tiles, kWinogradTilesMax) * inputs + kApart),
      sum_stride(std::min<uint64_t>(tiles, kWinogradTilesMax) * columns + kApart) {}

uint64_t WinogradDequantizedFloats(const graph::Node& node, uint32_t columns) {
  if (!IsDequantized(node.weight_type)) return 0;
  return uint64_t{kWinogradTaps} * kWinogradDequantizedInputs * columns;
}

uint64_t WinogradWorkspaceBytes(const graph::Graph& graph, const graph::Node& node) {
  const uint32_t outputs = WinogradOutputs(node);
  const graph::RowShape out = graph::RowsOf(graph.shape(node.output));
  const uint64_t tiles = out.images * CeilDiv(out.rows, outputs) * CeilDiv(out.pixels, outputs);
  const auto columns =
      static_cast<uint32_t>(RoundUp(std::min(out.channels, kPanelChannels), kPanelGranule));
  const WinogradSpace space(outputs, tiles, WinogradInputsMax(graph, node), columns);
  const uint64_t floats = WinogradDequantizedFloats(node, columns) + space.Floats();
  return RoundUp(floats * sizeof(float), 64);
}

}  // namespace coracle::kernels
