#include "plan/node_cost.h"

#include <algorithm>
#include <cmath>
#include <variant>

#include "base/checked.h"
#include "graph/tensor_bytes.h"
#include "kernels/dot8.h"
#include "kernels/kernel.h"
#include "kernels/packing.h"
#include "kernels/panel_text.h"
#include "kernels/recurrence.h"
#include "kernels/winograd.h"
#include "plan/pixel_work.h"

namespace coracle::plan {
namespace {

using graph::ActivationKind;
using graph::Graph;
using graph::Node;
using graph::OpKind;
using graph::RowShape;

constexpr double kMsPerNs = 1e-6;
/// A register tile's chain of multiply-adds takes at least so long as this many of 16 lanes.
constexpr double kChainLength = 8;
/// Up to so many pixels an action waits for far weights in full; with more, they are asked for
/// while others are multiplied.
constexpr double kWaitingPixels = 14;

bool IsDot8(const Node& node) { return node.weight_type == graph::WeightType::kDot8; }

/// Pixels of a full register tile (kernels/simd/panels_tile-inl.h, dot8_tile-inl.h).
double TilePixels(const Node& node, uint32_t width) {
  if (width == 64) return 6;
  return width == 48 || (width == 32 && IsDot8(node)) ? 8 : 12;
}

/// Nanoseconds of a register tile beside its multiply-adds.
double TileNs(const Node& node, const MachineRates& rates) {
  constexpr double kDivisions = 5.7;  // of a tile's values by the output's scale
  if (!IsDot8(node)) return rates.tile_ns;
  return (kDot8TileShare + (node.integer.out.scale == 1 ? 0 : kDivisions)) * rates.tile_ns;
}

/// Activations that the panel kernels do not end in registers.
bool Staged(ActivationKind kind) {
  switch (kind) {
    case ActivationKind::kNone:
    case ActivationKind::kRelu:
    case ActivationKind::kLeakyRelu:
    case ActivationKind::kClip:
    case ActivationKind::kHardSwish:
      return false;
    default:
      return true;
  }
}

/// Pointers that the table of tiles holds for a pixel: kernel rows, where their taps are
/// neighbours in memory, or taps. Integers whose windows are copied: what that costs, in pointers.
double TablePointers(const Graph& graph, const Node& node) {
  constexpr double kCopy = 3.4;  // of a kernel row
  if (IsDot8(node) && kernels::Dot8WorkspaceOf(graph, node).copies) {
    const auto* conv = std::get_if<graph::Conv>(&node.attrs);
    return kCopy * (conv == nullptr ? 1 : conv->window.kernel_h);
  }
  if (const auto* conv = std::get_if<graph::Conv>(&node.attrs)) {
    const graph::Window& w = conv->window;
    const bool rows = conv->groups == 1 && w.dilation_w == 1;
    return rows ? w.kernel_h : double{1} * w.kernel_h * w.kernel_w;
  }
  if (const auto* conv = std::get_if<graph::ConvTranspose>(&node.attrs)) {
    const graph::Window& w = conv->window;
    return std::ceil(double{1} * w.kernel_h * w.kernel_w / (w.stride_h * w.stride_w));
  }
  return 1;
}

/// Blocks of a quantised node's panels, each multiplied in a pass of its own.
double DequantizedBlocks(const Node& node) {
  uint64_t blocks = 0;
  for (const graph::ChunkDescriptor& chunk : node.weights.chunks) {
    blocks += uint64_t{chunk.panel_count} *
              std::max<uint64_t>(1, CeilDiv(chunk.k_count, kernels::kDequantizedRowsMax));
  }
  return static_cast<double>(blocks);
}

/// Nanoseconds to dequantise all weights once, as flops' time.
double DequantizeNs(const Graph& graph, const Node& node, const MachineRates& rates) {
  constexpr double kFlopsPerWeight = 7;
  if (!kernels::IsDequantized(node.weight_type)) return 0;
  double weights = 0;
  for (const graph::ChunkDescriptor& chunk : node.weights.chunks) {
    const kernels::PanelGeometry first = kernels::PanelAt(graph, node, chunk.panel_begin);
    weights += double{1} * chunk.panel_count * chunk.k_count * first.width;
  }
  return weights * kFlopsPerWeight / rates.fma_gflops;
}

/// The share of its first input that a node reads at all: strides may pass over pixels.
double ReadShare(const Node& node) {
  const auto* conv = std::get_if<graph::Conv>(&node.attrs);
  if (conv == nullptr) return 1;
  const graph::Window& w = conv->window;
  return std::min(1.0, double{1} * w.kernel_h / w.stride_h) *
         std::min(1.0, double{1} * w.kernel_w / w.stride_w);
}

}  // namespace

double FarShare(uint64_t bytes) {
  const double cached = static_cast<double>(kCachedBytes);
  return std::clamp((static_cast<double>(bytes) - cached) / cached, 0.0, 1.0);
}

double OpenNs(uint64_t bytes, uint64_t calls, const MachineRates& rates) {
  const auto total = static_cast<double>(bytes);
  return total / rates.aead_gbps + total / rates.weight_gbps +
         rates.open_ns * static_cast<double>(calls);
}

double DecodeNs(const graph::ChunkDescriptor& chunk, graph::WeightType type,
                const MachineRates& rates) {
  if (!chunk.coded()) return 0;
  const double left = static_cast<double>(chunk.coded_bytes) / chunk.bytes;
  // Of float32 weights that were never quantised, one byte of four is worth a code, sign and
  // exponent; the others are only copied.
  constexpr double kOneByteOfFour = 0.75;
  constexpr double kExponentShare = 0.35;
  // What shrinks this far repeats itself, and matches take longer than literals.
  constexpr double kMatches = 0.65;
  constexpr double kMatchShare = 1.6;
  double share = 1;
  if (type == graph::WeightType::kFloat32 && left >= kOneByteOfFour) share = kExponentShare;
  if (left < kMatches) share = kMatchShare;
  return share * chunk.bytes / rates.decode_gbps;
}

double OpenWeightsNs(const Node& node, const MachineRates& rates) {
  double ns = OpenNs(node.weights.SealedBytes(), node.weights.chunks.size(), rates);
  for (const graph::ChunkDescriptor& chunk : node.weights.chunks) {
    ns += DecodeNs(chunk, node.weight_type, rates);
  }
  return ns;
}

uint32_t OutputRows(const Graph& graph, const Node& node) {
  const RowShape rows = graph::RowsOf(graph.shape(node.output));
  return kernels::PerImage(graph, node) ? rows.rows : static_cast<uint32_t>(rows.AllRows());
}

NodeCost::NodeCost(const Graph& graph, const Node& node, const MachineRates& rates) {
  weight_bytes_ = node.weights.TotalBytes();
  weight_far_ns_ = static_cast<double>(weight_bytes_) / rates.weight_gbps;
  sealed_far_ns_ = static_cast<double>(node.weights.SealedBytes()) / rates.weight_gbps;
  open_ns_ = OpenWeightsNs(node, rates);
  winograd_ = WinogradWorkOf(graph, node);
  if (graph::IsDepthwise(graph, node)) {
    CountDepthwise(graph, node, rates);
  } else if (winograd_.granule > 0) {
    CountWinograd(graph, node, rates);
  } else if (node.kind() == OpKind::kConv || node.kind() == OpKind::kConvTranspose ||
             node.kind() == OpKind::kDense) {
    CountPanels(graph, node, rates);
  } else if (node.kind() == OpKind::kMatMul) {
    CountMatMul(graph, node, rates);
  } else if (node.kind() == OpKind::kRecurrence) {
    CountRecurrence(graph, node, rates);
  } else if (node.kind() == OpKind::kAttention) {
    CountAttention(graph, node, rates);
  } else {
    CountPixels(graph, node, rates);
  }
  CountBytes(graph, node, rates);
}

void NodeCost::CountPanels(const Graph& graph, const Node& node, const MachineRates& rates) {
  const RowShape out = graph::RowsOf(graph.shape(node.output));
  const kernels::PanelGeometry first = kernels::PanelAt(graph, node, 0);
  const uint32_t panels = kernels::PanelCount(graph, node);
  uint32_t groups = 1;
  uint32_t phases_x = 1;
  if (const auto* conv = std::get_if<graph::Conv>(&node.attrs)) groups = conv->groups;
  if (const auto* conv = std::get_if<graph::ConvTranspose>(&node.attrs)) {
    groups = conv->groups;
    phases_x = conv->window.stride_w;
    row_step_ = conv->window.stride_h;
  }
  const uint32_t parts = groups * phases_x * row_step_;
  const uint32_t channels = out.channels / groups;
  const double images = kernels::PerImage(graph, node) ? out.images : 1;
  row_pixels_ = images * std::ceil(static_cast<double>(out.pixels) / phases_x);
  tile_ns_ = TileNs(node, rates);
  double depth = first.k_count;
  if (IsDot8(node)) {
    depth = static_cast<double>(RoundUp(first.k_count, kernels::kDot8Group));
    // Every cut of K takes sums out of the workspace and puts them back.
    const double cuts = static_cast<double>(node.weights.chunks.size()) / panels - 1;
    tile_ns_ += std::max(0.0, cuts) * rates.tile_ns;
  }
  if (parts > groups) {  // phases have unequal shares of the taps
    const auto& w = std::get<graph::ConvTranspose>(node.attrs).window;
    depth = static_cast<double>(graph.shape(node.inputs[0]).Back(0)) / groups * w.kernel_h *
            w.kernel_w / (double{1} * phases_x * row_step_);
  }
  const auto add = [&](Panels& out_panels, uint32_t count, uint32_t width) {
    // One multiply-add.
    const double lane_ns = 2 / (IsDot8(node) ? rates.dot8_gops : rates.fma_gflops);
    out_panels = {.count = double{1} * count * groups * phases_x,
                  .row_ns = width * lane_ns,
                  .depth = depth,
                  .row_ns_min = kChainLength * kLanes * lane_ns,
                  .tile_pixels = TilePixels(node, width)};
  };
  const uint32_t rest = channels % kernels::kPanelChannels;
  add(panels_[0], channels / kernels::kPanelChannels, kernels::kPanelChannels);
  if (rest > 0) {
    add(panels_[1], 1, static_cast<uint32_t>(RoundUp(rest, kernels::kPanelGranule)));
  }
  // Tables are made once for all panels of a chunk that share a part.
  const auto chunks = static_cast<double>(node.weights.chunks.size());
  double runs = parts == 1 ? chunks : std::max<double>(chunks, panels);
  if (kernels::IsDequantized(node.weight_type)) runs = DequantizedBlocks(node);
  const double pointers = TablePointers(graph, node);
  call_ns_ = runs * (rates.call_ns + 18 * rates.window_ns * pointers);
  row_ns_ = runs / row_step_ * row_pixels_ * (1 + pointers) * rates.window_ns;
  call_ns_ += DequantizeNs(graph, node, rates);
  CountStaging(graph, node, groups, rates);
  single_row_ns_ = row_ns_;
}

void NodeCost::CountStaging(const Graph& graph, const Node& node, uint32_t groups,
                            const MachineRates& rates) {
  if (!Staged(node.activation.kind)) return;
  const RowShape out = graph::RowsOf(graph.shape(node.output));
  const double images = kernels::PerImage(graph, node) ? out.images : 1;
  const uint32_t channels = out.channels / groups;
  const double columns = std::ceil(double{1} * channels / kernels::kPanelChannels);
  row_ns_ += images * out.pixels * groups *
             (columns * 3 * rates.pixel_ns +
              Vectors(channels) * ActivationNs(node.activation.kind, rates) * 0.5);
}

void NodeCost::CountWinograd(const Graph& graph, const Node& node, const MachineRates& rates) {
  const RowShape out = graph::RowsOf(graph.shape(node.output));
  row_pixels_ = double{1} * out.images * out.pixels;
  flop_ns_ = 1 / rates.fma_gflops;
  // Each strip of rows of transformed weights dequantises the taps that it is made of, of 9.
  const double taps = kernels::WinogradOutputs(node) == 4 ? 3 + 9 + 9 + 3 : 3 + 9 + 3;
  call_ns_ = rates.call_ns * static_cast<double>(node.weights.chunks.size()) +
             taps / kernels::kWinogradTaps * DequantizeNs(graph, node, rates);
  CountStaging(graph, node, 1, rates);
  single_row_ns_ = row_ns_;
}

void NodeCost::CountDepthwise(const Graph& graph, const Node& node, const MachineRates& rates) {
  // Two rows at once share inputs; strides share fewer.
  constexpr double kSingleRow = 1.9;
  constexpr double kStride = 2.7;
  // Bytes are widened, and quantised at the end.
  constexpr double kFindBytes = 4;
  constexpr double kFinishBytes = 2;
  constexpr double kTapBytes = 5.5;
  const RowShape out = graph::RowsOf(graph.shape(node.output));
  const graph::Window& w = std::get<graph::Conv>(node.attrs).window;
  const double vectors = Vectors(out.channels);
  const double pixels = double{1} * out.images * out.pixels;
  const double taps = double{1} * w.kernel_h * w.kernel_w;
  const bool pairs = w.stride_h == 1 && w.stride_w == 1 && w.kernel_h == w.kernel_w &&
                     (w.kernel_w == 3 || w.kernel_w == 5) && w.dilation_w == 1;
  const double once = pixels * (w.kernel_h * 2.7 * rates.window_ns + vectors * rates.vector_ns);
  const double tap_ns = pixels * vectors * taps * rates.depthwise_ns;
  call_ns_ = rates.call_ns * static_cast<double>(node.weights.chunks.size());
  if (IsDot8(node)) {
    row_ns_ = pixels * (w.kernel_h * kFindBytes * rates.window_ns +
                        vectors * kFinishBytes * rates.vector_ns) +
              tap_ns * kTapBytes;
    single_row_ns_ = row_ns_;
    return;
  }
  row_ns_ = once + tap_ns * (pairs ? 1 : w.stride_w > 1 ? kStride : kSingleRow);
  single_row_ns_ = once + tap_ns * (w.stride_w > 1 ? kStride : kSingleRow);
  if (Staged(node.activation.kind)) {
    row_ns_ += pixels * vectors * ActivationNs(node.activation.kind, rates);
  }
}

void NodeCost::CountMatMul(const Graph& graph, const Node& node, const MachineRates& rates) {
  constexpr double kShare = 0.7;  // of the panel kernel's rate
  constexpr double kTileRows = 6;
  const Shape& b = graph.shape(node.inputs[1]);
  const double rows = OutputRows(graph, node);
  const auto flops = 2 * static_cast<double>(kernels::MultiplyAdds(graph, node));
  const auto packed = static_cast<double>(b.Elements());
  const bool transposed =
      std::get<graph::MatMul>(node.attrs).transpose_b == graph::TransposeB::kYes;
  const auto out = static_cast<double>(graph.shape(node.output).Elements());
  row_ns_ = (flops / (rates.fma_gflops * kShare) +
             out / (kernels::kPanelChannels * kTileRows) * rates.tile_ns) /
            rows;
  single_row_ns_ = row_ns_;
  call_ns_ = rates.call_ns + packed / kLanes * rates.vector_ns * (transposed ? 6 : 0.8);
}

void NodeCost::CountRecurrence(const Graph& graph, const Node& node, const MachineRates& rates) {
  constexpr double kShare = 0.45;  // of the panel kernel's rate: every weight is read once a step
  const auto& recurrence = std::get<graph::Recurrence>(node.attrs);
  const RowShape out = graph::RowsOf(graph.shape(node.output));
  const double rows = OutputRows(graph, node);
  const double groups = std::ceil(double{1} * out.images / kernels::kRecurrenceImages);
  const auto flops = 2 * static_cast<double>(kernels::MultiplyAdds(graph, node));
  const double units = Vectors(recurrence.hidden) * graph::GateCount(recurrence.cell);
  row_ns_ = flops / (rates.fma_gflops * kShare) / rows +
            groups * FarShare(weight_bytes_) * weight_far_ns_ +
            out.images * units * (rates.exponential_ns + rates.vector_ns);
  single_row_ns_ = row_ns_;
  call_ns_ = rates.call_ns;
}

void NodeCost::CountAttention(const Graph& graph, const Node& node, const MachineRates& rates) {
  constexpr double kShare = 0.8;  // of the panel kernel's rate
  constexpr double kTransposed = 6;
  const double rows = OutputRows(graph, node);
  const Shape& keys = graph.shape(node.inputs[1]);
  const auto flops = 2 * static_cast<double>(kernels::MultiplyAdds(graph, node));
  const RowShape out = graph::RowsOf(graph.shape(node.output));
  const double scores = double{1} * out.images * rows * out.pixels * Vectors(keys[1]);
  row_ns_ =
      (flops / (rates.fma_gflops * kShare) + scores * (rates.exponential_ns + rates.vector_ns)) /
      rows;
  single_row_ns_ = row_ns_;
  call_ns_ =
      rates.call_ns + static_cast<double>(keys.Elements()) / kLanes * rates.vector_ns * kTransposed;
}

void NodeCost::CountPixels(const Graph& graph, const Node& node, const MachineRates& rates) {
  const RowShape out = graph::RowsOf(graph.shape(node.output));
  const double images = kernels::PerImage(graph, node) ? out.images : 1;
  const PixelWork work = WorkOf(graph, node);
  const double pixel_ns = work.pixels * rates.pixel_ns + work.vectors * rates.vector_ns +
                          work.exponentials * rates.exponential_ns +
                          out.channels / kLanes * ActivationNs(node.activation.kind, rates);
  row_ns_ = images * out.pixels * pixel_ns;
  single_row_ns_ = row_ns_;
  call_ns_ = 6 * rates.pixel_ns;
}

void NodeCost::CountBytes(const Graph& graph, const Node& node, const MachineRates& rates) {
  uint64_t bytes = TensorBytes(graph, node.output);
  for (const graph::TensorIndex input : node.inputs) bytes += TensorBytes(graph, input);
  row_bytes_ = static_cast<double>(bytes) / OutputRows(graph, node);
  double share = 1;
  if (graph::IsDepthwise(graph, node)) {
    share = 0.75;
  } else if (row_pixels_ > 0) {
    repeat_bytes_ = ReadShare(node) * static_cast<double>(TensorBytes(graph, node.inputs[0])) /
                    OutputRows(graph, node);
    repeats_ = static_cast<double>(node.weights.chunks.size()) - 1;
    if (winograd_.granule > 0) {
      // Chunks of one panel read other channels, and go on from the sums of those before them.
      const auto in = static_cast<double>(graph.shape(node.inputs[0]).Elements());
      const auto out = static_cast<double>(graph.shape(node.output).Elements());
      repeats_ = winograd_.panels - 1 + 2 * (winograd_.runs - 1) * out / in;
    }
  } else if (node.kind() != OpKind::kMatMul && node.kind() != OpKind::kRecurrence &&
             node.kind() != OpKind::kAttention) {
    share = WorkOf(graph, node).far;
  }
  far_byte_ns_ = share / rates.activation_gbps;
}

double NodeCost::TilesNs(uint32_t rows) const {
  if (winograd_.granule > 0) return winograd_.Flops(rows) * flop_ns_;
  const double positions = std::ceil(static_cast<double>(rows) / row_step_);
  const double pixels = positions * row_pixels_;
  const double phases = std::min(rows, row_step_);
  double ns = 0;
  for (const Panels& p : panels_) {
    if (p.count == 0) continue;
    const double tiles = std::ceil(pixels / p.tile_pixels);
    const double row_ns = std::max(pixels / tiles * p.row_ns, p.row_ns_min);
    ns += phases * p.count * tiles * (p.depth * row_ns + tile_ns_);
  }
  return ns;
}

double NodeCost::Compute(uint32_t rows) const {
  if (rows == 0) return 0;
  double ns = call_ns_ + rows * (rows == 1 ? single_row_ns_ : row_ns_);
  if (row_pixels_ > 0) ns += TilesNs(rows);
  const double bytes = rows * row_bytes_;
  const double repeated = rows * repeat_bytes_;
  ns += far_byte_ns_ * (bytes * FarShare(static_cast<uint64_t>(bytes)) +
                        repeats_ * repeated * FarShare(static_cast<uint64_t>(repeated)));
  return ns * kMsPerNs;
}

double NodeCost::FarWeights(uint32_t rows, double far_share) const {
  const double waits = std::sqrt(kWaitingPixels / std::max(kWaitingPixels, rows * row_pixels_));
  return weight_far_ns_ * far_share * waits * kMsPerNs;
}

double NodeCost::Stream(uint32_t rows) const {
  return Open() + std::max(0.0, Compute(rows) - sealed_far_ns_ * kMsPerNs);
}

}  // namespace coracle::plan
