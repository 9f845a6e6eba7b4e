#include "plan/winograd_work.h"

#include <cmath>

#include "kernels/kernel.h"
#include "kernels/packing.h"

namespace coracle::plan {
namespace {

/// Of a core that ends two multiply-adds of 16 lanes a cycle.
constexpr double kFlopsPerCycle = 64;
/// Tiles that a register tile multiplies at once.
constexpr double kRegisterTiles = 6;
/// Channels that the transforms take at once.
constexpr double kInputBlock = 16;

/// Cycles of the transforms, measured.
struct Transforms {
  double weights;  ///< of kInputBlock pairs of an input and an output channel
  double inputs;   ///< of one tile of kInputBlock input channels
  double outputs;  ///< of one tile of a panel's output channels
};
constexpr Transforms kTransforms2 = {.weights = 90, .inputs = 20, .outputs = 80};
constexpr Transforms kTransforms4 = {.weights = 135, .inputs = 70, .outputs = 280};

}  // namespace

WinogradWork WinogradWorkOf(const graph::Graph& graph, const graph::Node& node) {
  WinogradWork work;
  const uint32_t granule = kernels::RowGranule(node);
  if (granule == 1) return work;
  const Transforms& cycles = granule == 4 ? kTransforms4 : kTransforms2;
  const graph::RowShape out = graph::RowsOf(graph.shape(node.output));
  const double inputs = graph.shape(node.inputs[0]).Back(0);
  const double points = (granule + 2.0) * (granule + 2.0);
  work.granule = granule;
  work.row_tiles = out.images * std::ceil(double{1} * out.pixels / granule);
  work.panels = kernels::PanelCount(graph, node);
  double width = 0;  // of all panels
  for (uint32_t panel = 0; panel < kernels::PanelCount(graph, node); ++panel) {
    width += kernels::PanelAt(graph, node, panel).width;
  }
  work.runs = static_cast<double>(node.weights.chunks.size()) / work.panels;
  work.action_flops = kFlopsPerCycle * cycles.weights * inputs * width / kInputBlock;
  work.transform_flops =
      kFlopsPerCycle * (cycles.inputs * inputs / kInputBlock * work.panels +
                        cycles.outputs * work.runs * width / kernels::kPanelChannels);
  work.product_flops = 2 * points * inputs * width;
  return work;
}

double WinogradWork::Flops(uint32_t rows) const {
  const double tiles = row_tiles * std::ceil(static_cast<double>(rows) / granule);
  const double multiplied = kRegisterTiles * std::ceil(tiles / kRegisterTiles);
  return action_flops + tiles * transform_flops + multiplied * product_flops;
}

}  // namespace coracle::plan
