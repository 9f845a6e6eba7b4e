#include "kernels/packing.h"

#include <algorithm>
#include <string>

#include "base/checked.h"
#include "kernels/dot8.h"
#include "kernels/panel_text.h"
#include "kernels/partition.h"
#include "kernels/recurrence.h"
#include "kernels/winograd.h"

namespace coracle::kernels {
namespace {

using graph::ChunkDescriptor;
using graph::ChunkKind;
using graph::Graph;
using graph::Node;
using graph::WeightLayout;

constexpr uint64_t kFloatBytes = sizeof(float);

bool IsDot8(const Node& node) { return node.weight_type == graph::WeightType::kDot8; }

/// Text of rows [k_begin, k_begin + rows) of a panel's K.
uint64_t PanelBytes(const Graph& graph, const Node& node, const PanelGeometry& panel,
                    uint32_t k_begin, uint32_t rows) {
  if (IsDot8(node)) return Dot8PanelBytes(graph, node, panel.width, rows);
  return PanelText(node.weight_type, panel.width, rows, k_begin == 0).Bytes();
}
uint64_t PanelBytes(const Graph& graph, const Node& node, const PanelGeometry& panel) {
  return PanelBytes(graph, node, panel, 0, panel.k_count);
}

uint32_t DepthwiseBlocks(const Graph& graph, const Node& node) {
  return static_cast<uint32_t>(CeilDiv(graph.shape(node.inputs[0]).Back(0), kPanelGranule));
}

uint64_t DepthwiseBlockBytes(const Graph& graph, const Node& node) {
  if (IsDot8(node)) return Dot8BlockBytes(graph, node);
  const graph::Window& window = std::get<graph::Conv>(node.attrs).window;
  return (uint64_t{window.kernel_h} * window.kernel_w + 1) * kPanelGranule * kFloatBytes;
}

bool HasPanels(const Node& node) {
  const graph::OpKind kind = node.kind();
  return kind == graph::OpKind::kConv || kind == graph::OpKind::kConvTranspose ||
         kind == graph::OpKind::kDense;
}

uint64_t TargetBytes(uint64_t total_bytes) {
  if (total_bytes >= (uint64_t{2} << 20)) return 256 * 1024;
  if (total_bytes >= (uint64_t{512} << 10)) return 128 * 1024;
  return 64 * 1024;
}

/// Panels up to this stay whole, whatever the target: each cut of K costs the kernel another pass
/// over the panel's outputs (5 % of a 1x1 layer's time at 512 inputs).
constexpr uint64_t kWholePanelBytes = 160 * 1024;
/// The least target of such a cut.
constexpr uint64_t kCutBytes = 128 * 1024;

/// Appends chunks in order, numbering them.
class ChunkList {
 public:
  explicit ChunkList(graph::ChunkIndex first) : next_(static_cast<uint32_t>(first)) {}

  void Add(ChunkDescriptor chunk) {
    chunk.index = static_cast<graph::ChunkIndex>(next_++);
    layout_.chunks.push_back(chunk);
  }
  WeightLayout Release() { return std::move(layout_); }

 private:
  uint32_t next_;
  WeightLayout layout_;
};

/// One panel whose K is cut into `runs` near-equal runs, at multiples of `granule`.
void AddRuns(const Graph& graph, const Node& node, uint32_t index, uint32_t granule, uint64_t runs,
             ChunkList& list) {
  const PanelGeometry panel = PanelAt(graph, node, index);
  const uint64_t granules = CeilDiv(panel.k_count, granule);
  for (uint64_t run = 0; run < runs; ++run) {
    const auto begin = static_cast<uint32_t>(granules * run / runs * granule);
    const auto end = static_cast<uint32_t>(
        std::min<uint64_t>(granules * (run + 1) / runs * granule, panel.k_count));
    const uint64_t bytes = PanelBytes(graph, node, panel, begin, end - begin);
    list.Add({.kind = ChunkKind::kPanels,
              .bytes = static_cast<uint32_t>(bytes),
              .panel_begin = index,
              .panel_count = 1,
              .k_begin = begin,
              .k_count = end - begin});
  }
}

/// Runs of a panel's K begin at multiples of this.
uint32_t RunGranule(const Node& node, const PanelGeometry& panel) {
  if (IsDequantized(node.weight_type)) return kInt4GroupRows;
  return panel.k_count >= 64 || IsDot8(node) ? 8 : 1;
}

/// Most rows of K, in whole granules, whose text takes about `target` bytes.
uint32_t RowsWithin(const Graph& graph, const Node& node, const PanelGeometry& panel,
                    uint64_t target) {
  const uint32_t granule = RunGranule(node, panel);
  const uint64_t fixed = PanelBytes(graph, node, panel, 0, 0);  // bias and scales
  const uint64_t granule_bytes = PanelBytes(graph, node, panel, 0, granule) - fixed;
  const uint64_t granules = target > fixed ? (target - fixed) / granule_bytes : 0;
  return static_cast<uint32_t>(std::max<uint64_t>(1, granules) * granule);
}

/// One panel in runs of about `target` bytes.
void CutPanel(const Graph& graph, const Node& node, uint32_t index, uint64_t target,
              ChunkList& list) {
  const PanelGeometry panel = PanelAt(graph, node, index);
  AddRuns(graph, node, index, RunGranule(node, panel),
          CeilDiv(panel.k_count, RowsWithin(graph, node, panel, target)), list);
}

void CutWinograd(const Graph& graph, const Node& node, ChunkList& list) {
  const Partition partition = PartitionOf(graph, node);
  const uint32_t rows_max = kWinogradTaps * WinogradInputsMax(graph, node);
  for (uint32_t i = 0; i < partition.PanelsPerPart(); ++i) {
    const PanelGeometry panel = PanelOf(partition, i);
    AddRuns(graph, node, i, kWinogradRunRows, CeilDiv(panel.k_count, rows_max), list);
  }
}

void CutPanels(const Graph& graph, const Node& node, ChunkList& list) {
  const Partition partition = PartitionOf(graph, node);
  const uint32_t panels = partition.Parts() * partition.PanelsPerPart();
  uint64_t total = 0;
  for (uint32_t i = 0; i < panels; ++i) total += PanelBytes(graph, node, PanelOf(partition, i));
  const uint64_t target = TargetBytes(total);
  // A panel that is over by its bias alone stays whole.
  const uint64_t whole = std::min<uint64_t>(
      graph::kMaxChunkBytes,
      std::max(target + uint64_t{kPanelChannels} * kFloatBytes, kWholePanelBytes));
  for (uint32_t i = 0; i < panels;) {
    const PanelGeometry first = PanelOf(partition, i);
    if (PanelBytes(graph, node, first) > whole) {
      CutPanel(graph, node, i++, std::max(target, kCutBytes), list);
      continue;
    }
    ChunkDescriptor chunk{.kind = ChunkKind::kPanels, .panel_begin = i, .k_count = first.k_count};
    while (i < panels) {
      const PanelGeometry panel = PanelOf(partition, i);
      const uint64_t bytes = chunk.bytes + PanelBytes(graph, node, panel);
      const bool fits = chunk.panel_count == 0 || bytes <= target;
      if (panel.k_count != first.k_count || !fits) break;
      chunk.bytes = static_cast<uint32_t>(bytes);
      ++chunk.panel_count;
      ++i;
    }
    list.Add(chunk);
  }
}

void CutDepthwise(const Graph& graph, const Node& node, ChunkList& list) {
  const uint32_t blocks = DepthwiseBlocks(graph, node);
  const uint64_t block_bytes = DepthwiseBlockBytes(graph, node);
  const uint64_t per_chunk = std::max<uint64_t>(1, TargetBytes(blocks * block_bytes) / block_bytes);
  for (uint32_t block = 0; block < blocks;) {
    const auto count = static_cast<uint32_t>(std::min<uint64_t>(per_chunk, blocks - block));
    list.Add({.kind = ChunkKind::kDepthwise,
              .bytes = static_cast<uint32_t>(RoundUp(count * block_bytes, graph::kChunkAlignment)),
              .panel_begin = block,
              .panel_count = count});
    block += count;
  }
}

void CutConstant(uint64_t block_bytes, ChunkList& list) {
  const uint64_t total = RoundUp(block_bytes, graph::kChunkAlignment);
  const uint64_t target = TargetBytes(total);
  for (uint64_t done = 0; done < total;) {
    const uint64_t bytes = std::min(target, total - done);
    list.Add({.kind = ChunkKind::kConstant, .bytes = static_cast<uint32_t>(bytes)});
    done += bytes;
  }
}

Error Wrong(const Node& node, std::string_view what) {
  return Error{Code::kMalformed, "weights of " + node.name + ": " + std::string(what)};
}

Status CheckPanels(const Graph& graph, const Node& node, const WeightLayout& layout) {
  const Partition partition = PartitionOf(graph, node);
  const uint64_t panels = uint64_t{partition.Parts()} * partition.PanelsPerPart();
  uint32_t next_panel = 0;
  uint32_t next_k = 0;
  for (const ChunkDescriptor& chunk : layout.chunks) {
    if (chunk.kind != ChunkKind::kPanels) return Wrong(node, "chunk kind");
    if (chunk.panel_begin != next_panel || chunk.k_begin != next_k || chunk.panel_count == 0 ||
        chunk.panel_count > panels - next_panel ||
        chunk.panel_count > graph::kMaxChunkBytes / graph::kChunkAlignment) {
      return Wrong(node, "chunk order");
    }
    const uint32_t whole = PanelOf(partition, next_panel).k_count;
    const uint64_t k_end = uint64_t{chunk.k_begin} + chunk.k_count;
    const bool complete = k_end == whole;
    if (k_end > whole || (chunk.k_count == 0 && whole != 0)) return Wrong(node, "K range");
    if (chunk.panel_count > 1 && (chunk.k_begin != 0 || !complete)) return Wrong(node, "K range");
    if (IsDot8(node) && !complete && k_end % kDot8Group != 0) return Wrong(node, "K range");
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < chunk.panel_count; ++i) {
      const PanelGeometry panel = PanelOf(partition, next_panel + i);
      if (panel.k_count != whole) return Wrong(node, "panels of different K in one chunk");
      bytes += PanelBytes(graph, node, panel, chunk.k_begin, chunk.k_count);
    }
    if (bytes != chunk.bytes) return Wrong(node, "chunk bytes");
    next_panel += complete ? chunk.panel_count : 0;
    next_k = complete ? 0 : static_cast<uint32_t>(k_end);
  }
  if (next_panel != panels) return Wrong(node, "panels missing");
  return {};
}

/// Requires: CheckPanels succeeded.
Status CheckWinogradRuns(const Graph& graph, const Node& node, const WeightLayout& layout) {
  const uint32_t most = kWinogradTaps * WinogradInputsMax(graph, node);
  for (const ChunkDescriptor& chunk : layout.chunks) {
    const bool whole =
        chunk.k_begin % kWinogradRunRows == 0 && chunk.k_count % kWinogradRunRows == 0;
    if (!whole || chunk.k_count > most || chunk.panel_count != 1) return Wrong(node, "K range");
  }
  return {};
}

Status CheckDepthwise(const Graph& graph, const Node& node, const WeightLayout& layout) {
  const uint32_t blocks = DepthwiseBlocks(graph, node);
  const uint64_t block_bytes = DepthwiseBlockBytes(graph, node);
  uint32_t next = 0;
  for (const ChunkDescriptor& chunk : layout.chunks) {
    if (chunk.kind != ChunkKind::kDepthwise) return Wrong(node, "chunk kind");
    if (chunk.panel_begin != next || chunk.panel_count == 0 || chunk.panel_count > blocks - next ||
        chunk.k_begin != 0 || chunk.k_count != 0) {
      return Wrong(node, "chunk order");
    }
    if (RoundUp(chunk.panel_count * block_bytes, graph::kChunkAlignment) != chunk.bytes)
      return Wrong(node, "chunk bytes");
    next += chunk.panel_count;
  }
  if (next != blocks) return Wrong(node, "channel blocks missing");
  return {};
}

Status CheckConstant(uint64_t block_bytes, const Node& node, const WeightLayout& layout) {
  for (const ChunkDescriptor& chunk : layout.chunks) {
    if (chunk.kind != ChunkKind::kConstant) return Wrong(node, "chunk kind");
    if (chunk.panel_begin != 0 || chunk.panel_count != 0 || chunk.k_begin != 0 ||
        chunk.k_count != 0) {
      return Wrong(node, "chunk order");
    }
  }
  if (layout.TotalBytes() != RoundUp(block_bytes, graph::kChunkAlignment)) {
    return Wrong(node, "chunk bytes");
  }
  return {};
}

}  // namespace

uint32_t PanelCount(const Graph& graph, const Node& node) {
  const Partition partition = PartitionOf(graph, node);
  return partition.Parts() * partition.PanelsPerPart();
}

PanelGeometry PanelAt(const Graph& graph, const Node& node, uint32_t panel) {
  return PanelOf(PartitionOf(graph, node), panel);
}

KRow KRowOf(const Node& node, const PartTaps& taps, const ChunkDescriptor& chunk, uint32_t k) {
  if (!IsWinograd(node)) return {k / taps.inputs, k % taps.inputs};
  const uint32_t inputs = chunk.k_count / kWinogradTaps;
  const uint32_t row = k - chunk.k_begin;
  return {row / inputs, chunk.k_begin / kWinogradTaps + row % inputs};
}

PartTaps TapsOf(const Graph& graph, const Node& node, const PanelGeometry& panel) {
  return TapsOfPart(PartitionOf(graph, node), panel.phase_y, panel.phase_x);
}

uint64_t ConstantBlockBytes(const Graph& graph, const Node& node) {
  if (node.kind() == graph::OpKind::kRecurrence) {
    return CellGeometry(std::get<graph::Recurrence>(node.attrs)).BlockFloats() * kFloatBytes;
  }
  if (const auto* attention = std::get_if<graph::Attention>(&node.attrs)) {
    if (attention->mask != graph::AttentionMask::kConstant) return 0;
    return attention->mask_shape.Elements() * kFloatBytes;
  }
  if (node.kind() == graph::OpKind::kAffine || node.kind() == graph::OpKind::kLayerNorm) {
    return 2 * RoundUp(graph.shape(node.inputs[0]).Back(0), kPanelGranule) * kFloatBytes;
  }
  if (const auto* binary = std::get_if<graph::Binary>(&node.attrs)) {
    if (binary->operands == graph::Operands::kTensors) return 0;
    return binary->constant_shape.Elements() * kFloatBytes;
  }
  return 0;
}

WeightLayout CutIntoChunks(const Graph& graph, const Node& node, graph::ChunkIndex first_index) {
  ChunkList list(first_index);
  if (graph::IsDepthwise(graph, node)) {
    CutDepthwise(graph, node, list);
  } else if (IsWinograd(node)) {
    CutWinograd(graph, node, list);
  } else if (HasPanels(node)) {
    CutPanels(graph, node, list);
  } else {
    CutConstant(ConstantBlockBytes(graph, node), list);
  }
  return list.Release();
}

Status CheckLayout(const Graph& graph, const Node& node, const WeightLayout& layout) {
  for (const ChunkDescriptor& chunk : layout.chunks) {
    if (chunk.bytes == 0 || chunk.bytes % graph::kChunkAlignment != 0) {
      return Wrong(node, "chunk bytes");
    }
    if (chunk.bytes > graph::kMaxChunkBytes) {
      return Error{Code::kUnsupported, "weights of " + node.name + ": a chunk past the limit"};
    }
  }
  if (graph::IsDepthwise(graph, node)) return CheckDepthwise(graph, node, layout);
  if (HasPanels(node)) {
    const Partition partition = PartitionOf(graph, node);
    const uint64_t taps = uint64_t{partition.window.kernel_h} * partition.window.kernel_w;
    const uint64_t parts = uint64_t{partition.groups} * partition.phases_y * partition.phases_x;
    if (taps * partition.inputs_per_group > UINT32_MAX ||
        parts * partition.PanelsPerPart() > UINT32_MAX) {
      return Error{Code::kUnsupported, "weights of " + node.name + ": too large"};
    }
    TRY(CheckPanels(graph, node, layout));
    return IsWinograd(node) ? CheckWinogradRuns(graph, node, layout) : Status();
  }
  return CheckConstant(ConstantBlockBytes(graph, node), node, layout);
}

}  // namespace coracle::kernels
