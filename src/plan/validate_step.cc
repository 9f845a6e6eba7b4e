#include "plan/validate_step.h"

#include <algorithm>

#include "base/checked.h"
#include "fmt/format.h"
#include "kernels/kernel.h"

namespace coracle::plan {
namespace {

using graph::Node;
using graph::OpKind;

bool NeedsWeights(const Node& node) {
  switch (node.kind()) {
    case OpKind::kConv:
    case OpKind::kConvTranspose:
    case OpKind::kDense:
    case OpKind::kAffine:
    case OpKind::kLayerNorm:
    case OpKind::kRecurrence:
      return true;
    case OpKind::kAttention:
      return std::get<graph::Attention>(node.attrs).mask == graph::AttentionMask::kConstant;
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

Status CheckWeights(const Ledger& ledger, const Step& step, const Part& part) {
  const Node& node = ledger.node(part);
  const bool none = node.weights.chunks.empty();
  if (none && NeedsWeights(node)) return StepError(node, "has no weights");
  if (none != (part.weights == WeightsMode::kNone)) {
    return StepError(node, "opens weights that it has not, or none of those that it has");
  }
  const uint64_t pool_bytes = ledger.plan.pool_bytes;
  switch (part.weights) {
    case WeightsMode::kHeld:
    case WeightsMode::kPinned:
      if (RegionOf(part.held, node.weights.TotalBytes(), pool_bytes)) return {};
      return StepError(node, "its weights do not fit where they are to be held");
    case WeightsMode::kNone:
    case WeightsMode::kStreamed:
      break;
    default:
      return StepError(node, "its weights' mode does not exist");
  }
  if (part.held.bytes != 0) return StepError(node, "has room for held weights and holds none");
  if (part.weights == WeightsMode::kNone) return {};
  if (HasConstants(node)) return StepError(node, "streams constants that must be held");
  for (const PoolRange& slot : step.slots) {
    if (!RegionOf(slot, node.weights.LargestChunkBytes(), pool_bytes)) {
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

Status CheckSplit(const Ledger& ledger, const Step& step, const Part& part) {
  const Node& node = ledger.node(part);
  switch (part.split) {
    case Split::kNone:
      return {};
    case Split::kRows:
      if (kernels::CarriesRows(node)) return StepError(node, "is divided, but makes rows of rows");
      if (step.workers > 1) return {};
      return StepError(node, "is divided among one worker");
    case Split::kPanels:
      if (step.workers > 1 && IndependentGroups(node) >= step.workers) return {};
      return StepError(node, "has fewer groups of panels than workers");
  }
  return StepError(node, "its split does not exist");
}

/// As many scratch ranges as the form of the step asks for, and none that is not needed.
Status CheckWorkers(const Ledger& ledger, const Step& step) {
  const Node& first = ledger.node(step.parts[0]);
  if (step.workers == 0 || step.workers > ledger.plan.threads) {
    return StepError(first, "has no workers, or more than the plan");
  }
  const auto divided = [](const Part& part) { return part.split != Split::kNone; };
  if (step.workers > 1 && std::none_of(step.parts.begin(), step.parts.end(), divided)) {
    return StepError(first, "has several workers for undivided work");
  }
  const auto streams = [](const Part& part) { return part.weights == WeightsMode::kStreamed; };
  const bool streamed = std::any_of(step.parts.begin(), step.parts.end(), streams);
  if (step.slots.size() != (streamed ? step.workers : 0)) {
    return StepError(first, "needs one slot for each worker if it streams, else none");
  }
  if (step.workspaces.size() != step.workers) {
    return StepError(first, "needs one workspace for each worker");
  }
  return {};
}

Status CheckForm(const Ledger& ledger, const Step& step) {
  const Node& first = ledger.node(step.parts[0]);
  const auto computes =
      std::count_if(step.actions.begin(), step.actions.end(),
                    [](const Action& action) { return action.kind == ActionKind::kCompute; });
  switch (step.form) {
    case Form::kLayer:
      if (step.parts.size() == 1 && computes == 1) return {};
      return StepError(first, "is a layer and not one node in one action");
    case Form::kBand:
      if (step.parts.size() == 1) return {};
      return StepError(first, "is in bands and not one node");
    case Form::kCascade:
      if (step.parts.size() > 1) return {};
      return StepError(first, "is a cascade of one node");
  }
  return StepError(first, "its form does not exist");
}

}  // namespace

uint32_t RowsOfNode(const graph::Graph& graph, const Node& node) {
  const graph::RowShape rows = graph::RowsOf(graph.shape(node.output));
  const uint64_t count = kernels::PerImage(graph, node) ? rows.rows : rows.AllRows();
  return static_cast<uint32_t>(std::min<uint64_t>(count, UINT32_MAX));
}

Status CheckStep(const Ledger& ledger, const Step& step) {
  TRY(CheckForm(ledger, step));
  if (step.turns > Turns::kTogether) {
    return StepError(ledger.node(step.parts[0]), "its turns do not exist");
  }
  TRY(CheckWorkers(ledger, step));
  for (const Part& part : step.parts) {
    const Node& node = ledger.node(part);
    if (part.elided) return StepError(node, "is elided among others");
    TRY(CheckWeights(ledger, step, part));
    TRY(CheckSplit(ledger, step, part));
    const uint64_t workspace_bytes = kernels::WorkspaceBytes(ledger.covered(step), node);
    for (const PoolRange& range : step.workspaces) {
      if (!RegionOf(range, workspace_bytes, ledger.plan.pool_bytes)) {
        return StepError(node, "its workspace is too small or misplaced");
      }
    }
  }
  return {};
}

}  // namespace coracle::plan
