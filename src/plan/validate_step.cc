#include "plan/validate_step.h"

#include <algorithm>
#include <vector>

#include "base/checked.h"
#include "fmt/format.h"
#include "kernels/kernel.h"
#include "plan/validate_regions.h"

namespace coracle::plan {
namespace {

using graph::Graph;
using graph::Node;
using graph::OpKind;
using graph::TensorIndex;

bool NeedsWeights(const Node& node) {
  switch (node.kind()) {
    case OpKind::kConv:
    case OpKind::kConvTranspose:
    case OpKind::kDense:
    case OpKind::kAffine:
    case OpKind::kLayerNorm:
      return true;
    case OpKind::kBinary:
      return std::get<graph::Binary>(node.attrs).operands != graph::Operands::kTensors;
    default:
      return false;
  }
}

bool HasConstants(const Node& node) {
  return std::any_of(node.weights.chunks.begin(), node.weights.chunks.end(),
                     [](const auto& chunk) { return chunk.kind == graph::ChunkKind::kConstant; });
}

uint32_t OutputRows(const Graph& graph, const Node& node) {
  const graph::RowShape rows = graph::RowsOf(graph.shape(node.output));
  const uint64_t count = kernels::PerImage(graph, node) ? rows.rows : rows.AllRows();
  return static_cast<uint32_t>(std::min<uint64_t>(count, UINT32_MAX));
}

/// A scratch range of at least `bytes`, aligned, inside of the pool.
bool Holds(const Plan& plan, const PoolRange& range, uint64_t bytes) {
  if (range.bytes < bytes) return false;
  if (range.bytes == 0) return true;
  return range.offset % kPoolAlignment == 0 && range.bytes <= plan.pool_bytes &&
         range.offset <= plan.pool_bytes - range.bytes;
}

Status CheckWeights(const Plan& plan, const Step& step, const Node& node) {
  const bool none = node.weights.chunks.empty();
  if (none && NeedsWeights(node)) return StepError(node, "has no weights");
  if (none != (step.weights == WeightsMode::kNone)) {
    return StepError(node, "opens weights that it has not, or none of those that it has");
  }
  if (step.weights != WeightsMode::kHeld && step.held.bytes != 0) {
    return StepError(node, "has room for held weights and holds none");
  }
  switch (step.weights) {
    case WeightsMode::kNone:
      return step.slots.empty() ? Status() : StepError(node, "has slots and no weights");
    case WeightsMode::kHeld:
      if (!step.slots.empty()) return StepError(node, "has slots and holds its weights");
      if (Holds(plan, step.held, node.weights.TotalBytes())) return {};
      return StepError(node, "its weights do not fit where they are to be held");
    case WeightsMode::kStreamed:
      break;
    default:
      return StepError(node, "its weights' mode does not exist");
  }
  if (HasConstants(node)) return StepError(node, "streams constants that must be held");
  if (step.slots.size() != step.workers) return StepError(node, "needs one slot for each worker");
  for (const PoolRange& slot : step.slots) {
    if (!Holds(plan, slot, node.weights.LargestChunkBytes())) {
      return StepError(node, "its chunks do not fit their slot");
    }
  }
  return {};
}

/// Chunk groups that can be computed side by side: each begins with a chunk that continues no sum.
uint64_t IndependentGroups(const Node& node) {
  return static_cast<uint64_t>(
      std::count_if(node.weights.chunks.begin(), node.weights.chunks.end(), [](const auto& chunk) {
        return chunk.kind == graph::ChunkKind::kDepthwise ||
               (chunk.kind == graph::ChunkKind::kPanels && chunk.k_begin == 0);
      }));
}

Status CheckSplit(const Graph& graph, const Plan& plan, const Step& step, const Node& node) {
  if (step.workers == 0 || step.workers > plan.threads) {
    return StepError(node, "has no workers, or more than the plan");
  }
  const uint32_t rows = step.form == Form::kBand ? step.band_rows : OutputRows(graph, node);
  switch (step.split) {
    case Split::kNone:
      if (step.workers == 1) return {};
      return StepError(node, "has several workers for undivided work");
    case Split::kRows:
      if (step.workers > 1 && step.workers <= rows) return {};
      return StepError(node, "has fewer rows than workers");
    case Split::kPanels:
      if (step.workers > 1 && step.weights == WeightsMode::kStreamed &&
          IndependentGroups(node) >= step.workers) {
        return {};
      }
      return StepError(node, "has fewer groups of panels than workers");
  }
  return StepError(node, "its split does not exist");
}

Status CheckForm(const Graph& graph, const Step& step, const Node& node) {
  if (step.direction > Direction::kUp) return StepError(node, "its direction does not exist");
  if (step.form == Form::kLayer) {
    return step.band_rows == 0 ? Status() : StepError(node, "has bands in layer form");
  }
  if (step.form != Form::kBand) return StepError(node, "its form does not exist");
  const graph::RowShape rows = graph::RowsOf(graph.shape(node.output));
  if (rows.images != 1) return StepError(node, "has bands of several images");
  if (step.band_rows == 0 || step.band_rows > rows.rows ||
      CeilDiv(rows.rows, step.band_rows) > kMaxBands) {
    return StepError(node, fmt::format("has bands of {} rows", step.band_rows));
  }
  return {};
}

/// Rows [begin, end) of each band in the order in which they are computed.
std::vector<kernels::RowRange> BandsOf(const Step& step, uint32_t rows) {
  std::vector<kernels::RowRange> bands;
  for (uint64_t begin = 0; begin < rows; begin += step.band_rows) {
    bands.push_back({static_cast<uint32_t>(begin),
                     static_cast<uint32_t>(std::min<uint64_t>(begin + step.band_rows, rows))});
  }
  if (step.direction == Direction::kUp) std::reverse(bands.begin(), bands.end());
  return bands;
}

/// True if each band's writes miss all rows of the operand that it and later bands read.
bool BandsSpareOperand(const Graph& graph, const Step& step, uint32_t operand, const Region& in,
                       const Region& out) {
  const Node& node = graph.node(step.node);
  const graph::RowShape in_rows = graph::RowsOf(graph.shape(node.inputs[operand]));
  const graph::RowShape out_rows = graph::RowsOf(graph.shape(node.output));
  if (in_rows.images != 1 || !in.contiguous() || !out.contiguous()) return false;
  const uint64_t in_row_bytes = in_rows.pixels * in.width;
  const uint64_t out_row_bytes = out_rows.pixels * out.width;
  const std::vector<kernels::RowRange> bands = BandsOf(step, out_rows.rows);
  uint64_t needed_begin = UINT64_MAX;
  uint64_t needed_end = 0;
  for (size_t i = bands.size(); i-- > 0;) {
    const kernels::RowRange reads = kernels::InputRows(graph, node, operand, bands[i]);
    if (reads.begin < reads.end) {
      needed_begin = std::min(needed_begin, in.begin + reads.begin * in_row_bytes);
      needed_end = std::max(needed_end, in.begin + reads.end * in_row_bytes);
    }
    const uint64_t written_begin = out.begin + bands[i].begin * out_row_bytes;
    const uint64_t written_end = out.begin + bands[i].end * out_row_bytes;
    if (written_begin < needed_end && needed_begin < written_end) return false;
  }
  return true;
}

bool IsResidual(const Node& node, uint32_t operand) {
  return node.residual != graph::Residual::kNone && operand + 1 == node.inputs.size();
}

/// True if the kernel may replace this operand by its output, which lies exactly there.
bool ReplacesOperand(const Graph& graph, const Plan& plan, const Node& node, uint32_t operand) {
  const TensorIndex in = node.inputs[operand];
  if (graph.shape(in) != graph.shape(node.output)) return false;
  if (plan.placements[Position(in)] != plan.placements[Position(node.output)]) return false;
  if (!kernels::InPlaceAllowed(graph, node, operand)) return false;
  const bool has_panels = node.kind() == OpKind::kConv || node.kind() == OpKind::kConvTranspose ||
                          node.kind() == OpKind::kDense;
  return !has_panels || (IsResidual(node, operand) && !node.weights.SplitsK());
}

}  // namespace

Error StepError(const Node& node, std::string_view what) {
  return Error{Code::kMalformed,
               fmt::format("plan: step of {} '{}': {}", OpName(node.kind()), node.name, what)};
}

Region PlacedRegion(const Graph& graph, const Plan& plan, TensorIndex tensor) {
  const auto region =
      RegionOf(graph.shape(tensor), plan.placements[Position(tensor)], plan.pool_bytes);
  CORACLE_CHECK(region.has_value());  // CheckPlacements came first
  return *region;
}

Status CheckStep(const Graph& graph, const Plan& plan, const Step& step) {
  const Node& node = graph.node(step.node);
  TRY(CheckForm(graph, step, node));
  TRY(CheckSplit(graph, plan, step, node));
  TRY(CheckWeights(plan, step, node));
  if (step.workspaces.size() != step.workers) {
    return StepError(node, "needs one workspace for each worker");
  }
  const uint64_t workspace_bytes = kernels::WorkspaceBytes(graph, node);
  for (const PoolRange& range : step.workspaces) {
    if (!Holds(plan, range, workspace_bytes)) return StepError(node, "its workspace is too small");
  }
  return {};
}

Status CheckOperands(const Graph& graph, const Plan& plan, const Step& step) {
  const Node& node = graph.node(step.node);
  const Region out = PlacedRegion(graph, plan, node.output);
  for (uint32_t operand = 0; operand < node.inputs.size(); ++operand) {
    const Region in = PlacedRegion(graph, plan, node.inputs[operand]);
    if (!MayMeet(in, out)) continue;
    if (ReplacesOperand(graph, plan, node, operand)) continue;
    const bool spared = step.form == Form::kBand && !IsResidual(node, operand) &&
                        BandsSpareOperand(graph, step, operand, in, out);
    if (!spared) {
      return StepError(node, fmt::format("its output overwrites its operand '{}'",
                                         graph.tensor(node.inputs[operand]).name));
    }
  }
  return {};
}

}  // namespace coracle::plan
