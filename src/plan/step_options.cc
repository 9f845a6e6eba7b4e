#include "plan/step_options.h"

#include <algorithm>

#include "base/checked.h"
#include "kernels/kernel.h"

namespace coracle::plan {
namespace {

using graph::Graph;
using graph::Node;
using graph::TensorIndex;

/// A dying operand that a band form may overwrite row by row.
struct BandOperand {
  uint32_t operand = 0;
  StorageIndex in{};
  StorageIndex out{};
  int64_t shift = 0;  ///< the output's offset in its storage less the operand's in its own
};

bool IsDenseRows(const Graph& graph, TensorIndex tensor, const View& view) {
  const graph::RowShape rows = graph::RowsOf(graph.shape(tensor));
  return rows.images == 1 && view.pitch == rows.channels * sizeof(float);
}

uint64_t RowBytes(const Graph& graph, TensorIndex tensor) {
  return graph::RowsOf(graph.shape(tensor)).RowElements() * sizeof(float);
}

/// True if no member of the operand's storage but the operand itself is needed at `step` or later.
bool StorageDies(const std::vector<LiveRange>& ranges, const Storage& storage, TensorIndex operand,
                 StepNumber step) {
  if (storage.last != step) return false;
  for (TensorIndex member : storage.members) {
    if (member != operand && ranges[Position(member)].last >= step) return false;
  }
  return true;
}

/// The largest operand that may be overwritten, if any.
std::optional<BandOperand> FindBandOperand(const Graph& graph, StepNumber step,
                                           const std::vector<LiveRange>& ranges,
                                           const StorageMap& map) {
  const Node& node = graph.nodes[step];
  const View& out = map.views[Position(node.output)];
  if (!IsDenseRows(graph, node.output, out)) return std::nullopt;
  if (map.storages[Position(out.storage)].first != step) return std::nullopt;
  const size_t operands = node.inputs.size() - (node.residual != graph::Residual::kNone ? 1 : 0);
  std::optional<BandOperand> best;
  uint64_t best_bytes = 0;
  for (uint32_t operand = 0; operand < operands; ++operand) {
    const TensorIndex in = node.inputs[operand];
    const View& view = map.views[Position(in)];
    const Storage& storage = map.storages[Position(view.storage)];
    if (!IsDenseRows(graph, in, view) || !StorageDies(ranges, storage, in, step)) continue;
    if (std::count(node.inputs.begin(), node.inputs.end(), in) != 1) continue;
    if (view.storage == out.storage || storage.bytes <= best_bytes) continue;
    best_bytes = storage.bytes;
    best = BandOperand{operand, view.storage, out.storage,
                       static_cast<int64_t>(out.offset) - static_cast<int64_t>(view.offset)};
  }
  return best;
}

int64_t RoundUpSigned(int64_t value) {
  const auto alignment = static_cast<int64_t>(kPoolAlignment);
  const int64_t rest = ((value % alignment) + alignment) % alignment;
  return rest == 0 ? value : value + alignment - rest;
}

/// How far the output must lie before (or behind) the operand for bands of `band_rows` in ascending
/// (descending) order to overwrite no row that they still read.
Overlay OverlayFor(const Graph& graph, const Node& node, const BandOperand& operand,
                   uint32_t band_rows) {
  const TensorIndex in = node.inputs[operand.operand];
  const auto in_row = static_cast<int64_t>(RowBytes(graph, in));
  const auto out_row = static_cast<int64_t>(RowBytes(graph, node.output));
  const uint32_t rows = graph::RowsOf(graph.shape(node.output)).rows;
  const auto bands = static_cast<uint32_t>(CeilDiv(rows, band_rows));
  std::vector<kernels::RowRange> needs;
  needs.reserve(bands);
  for (uint32_t band = 0; band < bands; ++band) {
    const uint32_t begin = band * band_rows;
    needs.push_back(kernels::InputRows(graph, node, operand.operand,
                                       {begin, std::min(begin + band_rows, rows)}));
  }
  int64_t below = INT64_MIN;
  int64_t need_begin = INT64_MAX;
  for (uint32_t band = bands; band-- > 0;) {
    if (needs[band].count() > 0) need_begin = std::min<int64_t>(need_begin, needs[band].begin);
    const int64_t written = std::min<int64_t>(int64_t{band + 1} * band_rows, rows);
    if (need_begin != INT64_MAX) below = std::max(below, written * out_row - need_begin * in_row);
  }
  int64_t above = INT64_MIN;
  int64_t need_end = INT64_MIN;
  for (uint32_t band = 0; band < bands; ++band) {
    if (needs[band].count() > 0) need_end = std::max<int64_t>(need_end, needs[band].end);
    const int64_t written = int64_t{band} * band_rows;
    if (need_end != INT64_MIN) above = std::max(above, need_end * in_row - written * out_row);
  }
  // An operand of which nothing is read is no obstacle, but keep the two apart.
  if (below == INT64_MIN) below = in_row * graph::RowsOf(graph.shape(in)).rows;
  if (above == INT64_MIN) above = in_row * graph::RowsOf(graph.shape(in)).rows;
  return {static_cast<uint32_t>(Position(operand.in)), static_cast<uint32_t>(Position(operand.out)),
          RoundUpSigned(below + operand.shift), RoundUpSigned(above - operand.shift)};
}

bool MustBeHeld(const Node& node) {
  return !node.weights.chunks.empty() && node.weights.chunks[0].kind == graph::ChunkKind::kConstant;
}

Split SplitFor(const Graph& graph, const Node& node, WeightsMode weights, uint32_t rows,
               uint32_t workers) {
  if (workers == 1) return Split::kNone;
  uint64_t activation_bytes = TensorBytes(graph, node.output);
  for (TensorIndex input : node.inputs) activation_bytes += TensorBytes(graph, input);
  if (weights == WeightsMode::kStreamed && PanelGroups(node.weights) >= 2 * workers &&
      node.weights.TotalBytes() > activation_bytes) {
    return Split::kPanels;
  }
  return rows >= workers ? Split::kRows : Split::kNone;
}

class OptionLister {
 public:
  OptionLister(const Graph& graph, const Node& node, const PlanRequest& request)
      : graph_(graph), node_(node), request_(request), rows_(OutputRows(graph, node)) {
    workspace_bytes_ = kernels::WorkspaceBytes(graph, node);
  }

  uint32_t rows() const { return rows_; }

  /// Adds the form with every way of opening weights and number of workers.
  void Add(Form form, uint32_t band_rows, const std::optional<Overlay>& overlay,
           uint64_t saved_bytes) {
    StepOption option;
    option.form = form;
    option.band_rows = form == Form::kBand ? band_rows : 0;
    option.overlay = overlay;
    option.saved_bytes = saved_bytes;
    const uint32_t rows = form == Form::kBand ? band_rows : rows_;
    if (node_.weights.chunks.empty()) {
      AddWorkers(option, WeightsMode::kNone, rows);
      return;
    }
    if (!MustBeHeld(node_)) AddWorkers(option, WeightsMode::kStreamed, rows);
    AddWorkers(option, WeightsMode::kHeld, rows);
  }

  std::vector<StepOption> Release() {
    std::stable_sort(options_.begin(), options_.end(),
                     [](const StepOption& a, const StepOption& b) {
                       return a.ms != b.ms ? a.ms < b.ms : Need(a) < Need(b);
                     });
    std::vector<StepOption> front;
    for (const StepOption& option : options_) {
      if (front.empty() || Need(option) < Need(front.back())) front.push_back(option);
    }
    return front;
  }

 private:
  static int64_t Need(const StepOption& option) {
    return static_cast<int64_t>(option.ScratchBytes()) - static_cast<int64_t>(option.saved_bytes);
  }

  void AddWorkers(StepOption option, WeightsMode weights, uint32_t rows) {
    option.manner.weights = weights;
    option.slot_bytes = weights == WeightsMode::kStreamed ? node_.weights.LargestChunkBytes() : 0;
    option.held_bytes = weights == WeightsMode::kHeld ? node_.weights.TotalBytes() : 0;
    option.workspace_bytes = workspace_bytes_;
    for (uint32_t workers = 1;; workers = std::min(workers * 2, request_.threads)) {
      option.manner.workers = workers;
      option.manner.split = SplitFor(graph_, node_, weights, rows, workers);
      if (workers > 1 && option.manner.split == Split::kNone) break;
      option.ms = static_cast<double>(CeilDiv(rows_, rows)) *
                  ActionMs(graph_, node_, rows, option.manner, request_.rates);
      if (weights == WeightsMode::kHeld) {
        option.ms += OpenMs(node_.weights, request_.rates) / workers;
      }
      options_.push_back(option);
      if (workers == request_.threads || option.ms < kOneWorkerMs) break;
    }
  }

  const Graph& graph_;
  const Node& node_;
  const PlanRequest& request_;
  const uint32_t rows_;
  uint64_t workspace_bytes_ = 0;
  std::vector<StepOption> options_;
};

}  // namespace

std::vector<StepOption> OptionsOf(const Graph& graph, StepNumber step,
                                  const std::vector<LiveRange>& ranges, const StorageMap& map,
                                  const PlanRequest& request) {
  const Node& node = graph.nodes[step];
  OptionLister lister(graph, node, request);
  lister.Add(Form::kLayer, 0, std::nullopt, 0);
  const uint32_t rows = lister.rows();
  const auto operand = rows >= 2 ? FindBandOperand(graph, step, ranges, map) : std::nullopt;
  if (!operand) return lister.Release();
  uint32_t before = 0;
  for (uint32_t bands = 2;; bands *= 2) {
    const auto band_rows = static_cast<uint32_t>(CeilDiv(rows, std::min(bands, rows)));
    if (band_rows != before) {
      const Overlay overlay = OverlayFor(graph, node, *operand, band_rows);
      const uint64_t saved = OverlaySaving(overlay, map.storages[Position(operand->in)].bytes,
                                           map.storages[Position(operand->out)].bytes);
      if (saved > 0) lister.Add(Form::kBand, band_rows, overlay, saved);
    }
    before = band_rows;
    if (band_rows == 1 || bands >= 1024) break;
  }
  return lister.Release();
}

uint64_t LeastScratchBytes(const Graph& graph, const Node& node) {
  const uint64_t weights =
      MustBeHeld(node) ? node.weights.TotalBytes() : node.weights.LargestChunkBytes();
  return weights + kernels::WorkspaceBytes(graph, node);
}

}  // namespace coracle::plan
