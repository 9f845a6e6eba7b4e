#include "node_timer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "base/check.h"
#include "base/checked.h"
#include "plan/cost.h"
#include "runtime/measure_rates.h"

namespace coracle::bench {
namespace {

constexpr uint64_t kLineFloats = 16;
/// Copies of a node's weights that take turns hold at least so much together: more than a
/// second-level cache keeps.
constexpr uint64_t kColdBytes = uint64_t{16} << 20;

constexpr uint32_t kTries = 3;
constexpr uint32_t kTriesMax = 40;
constexpr double kSpendMs = 100;
constexpr double kPaceChangeMax = 0.05;

uint64_t Lines(uint64_t floats) { return RoundUp(floats, kLineFloats); }

uint32_t Copies(uint64_t weight_bytes) {
  return weight_bytes == 0 ? 0 : static_cast<uint32_t>(1 + kColdBytes / weight_bytes);
}

}  // namespace

void BenchArena::Reserve(uint64_t floats) {
  used_ = 0;
  if (floats + kLineFloats <= memory_.size()) return;
  const size_t old = memory_.size();
  memory_.resize(floats + kLineFloats);
  std::minstd_rand random(1);
  for (size_t i = old; i < memory_.size(); ++i) {
    memory_[i] = static_cast<float>(random() % 1024) / 512.0F - 1.0F;
  }
}

float* BenchArena::Take(uint64_t floats) {
  const auto address = reinterpret_cast<uintptr_t>(memory_.data());
  const uint64_t aligned = RoundUp(address, kLineFloats * sizeof(float)) - address;
  float* const first = memory_.data() + aligned / sizeof(float) + used_;
  used_ += Lines(floats);
  CORACLE_CHECK(used_ + kLineFloats <= memory_.size() + 1);
  return first;
}

uint64_t NodeTimer::FloatsFor(const graph::Graph& graph, const graph::Node& node) {
  uint64_t floats = Lines(graph.shape(node.output).Elements());
  for (const graph::TensorIndex input : node.inputs) floats += Lines(graph.shape(input).Elements());
  const uint64_t weights = node.weights.TotalBytes();
  return floats + Lines(kernels::WorkspaceBytes(graph, node) / sizeof(float)) +
         Lines((weights * Copies(weights) + graph::kMaxChunkBytes) / sizeof(float)) + kLineFloats;
}

NodeTimer::NodeTimer(const graph::Graph& graph, const graph::Node& node, uint32_t rows,
                     seal::ChunkOpener& opener, BenchArena& arena)
    : graph_(graph),
      node_(node),
      rows_(rows),
      output_rows_(plan::OutputRows(graph, node)),
      opener_(opener) {
  arena.Reserve(FloatsFor(graph, node));
  const uint64_t workspace = kernels::WorkspaceBytes(graph, node);
  workspace_ = {reinterpret_cast<std::byte*>(arena.Take(workspace / sizeof(float))), workspace};
  BindOperands(arena);
  OpenWeights(arena);
  const kernels::KernelSet& set = kernels::SimdKernels();
  row_kernel_ = set.rows[Position(node.kind())];
  if (row_kernel_ == nullptr) {
    panel_kernel_ = graph::IsDepthwise(graph, node) ? set.depthwise : set.panels;
  }
}

kernels::Rows NodeTimer::Bind(graph::TensorIndex tensor, uint32_t ring_rows,
                              BenchArena& arena) const {
  const graph::RowShape shape = graph::RowsOf(graph_.shape(tensor));
  const bool per_image = kernels::PerImage(graph_, node_);
  kernels::Rows rows;
  rows.rows = per_image ? shape.rows : static_cast<uint32_t>(shape.AllRows());
  rows.pixels = shape.pixels;
  rows.channels = shape.channels;
  rows.pixel_stride = static_cast<ptrdiff_t>(shape.channels);
  rows.row_stride = static_cast<ptrdiff_t>(shape.RowElements());
  const bool ring = shape.images == 1 && ring_rows < rows.rows;
  if (ring) rows.ring_rows = ring_rows;
  const uint64_t kept = ring ? ring_rows : shape.AllRows();
  rows.base = arena.Take(kept * shape.RowElements());
  return rows;
}

void NodeTimer::BindOperands(BenchArena& arena) {
  const auto operands = static_cast<uint32_t>(node_.inputs.size());
  std::vector<kernels::Rows> first;
  for (uint32_t i = 0; i < operands; ++i) {
    uint32_t window = 1;
    for (uint32_t y = 0; y < output_rows_; y += rows_) {
      const kernels::RowRange rows{y, std::min(y + rows_, output_rows_)};
      window = std::max(window, kernels::InputRows(graph_, node_, i, rows).count());
    }
    first.push_back(Bind(node_.inputs[i], window, arena));
  }
  const kernels::Rows output = Bind(node_.output, rows_, arena);
  const uint32_t images =
      kernels::PerImage(graph_, node_) ? graph::RowsOf(graph_.shape(node_.output)).images : 1;
  operands_.reserve(size_t{images} * operands);
  for (uint32_t image = 0; image < images; ++image) {
    for (kernels::Rows rows : first) {
      rows.SkipRows(uint64_t{image} * rows.rows);
      operands_.push_back(rows);
    }
    kernels::Rows out = output;
    out.SkipRows(uint64_t{image} * out.rows);
    images_.push_back({std::span(operands_).subspan(size_t{image} * operands, operands), out});
  }
}

void NodeTimer::OpenWeights(BenchArena& arena) {
  const uint64_t bytes = node_.weights.TotalBytes();
  slot_ = reinterpret_cast<std::byte*>(arena.Take(graph::kMaxChunkBytes / sizeof(float)));
  for (uint32_t copy = 0; copy < Copies(bytes); ++copy) {
    std::byte* text = reinterpret_cast<std::byte*>(arena.Take(bytes / sizeof(float)));
    copies_.push_back(text);
    if (copy > 0) {
      std::memcpy(text, copies_[0], bytes);
      continue;
    }
    for (const graph::ChunkDescriptor& chunk : node_.weights.chunks) {
      CORACLE_CHECK(opener_.Open(chunk.index, {text, chunk.bytes}) == crypto::Verdict::kAuthentic);
      text += chunk.bytes;
    }
  }
}

double NodeTimer::Milliseconds(Weights weights, host::Clock& clock,
                               const plan::MachineRates& rates) {
  double best = 0;
  double best_unsteady = 0;
  double spent_ms = 0;
  uint32_t good = 0;
  double before = runtime::MeasurePace(clock, rates);
  for (uint32_t i = 0; i < kTriesMax && good < kTries && (i == 0 || spent_ms < kSpendMs); ++i) {
    const uint64_t start = clock.NowNanoseconds();
    ComputeOnce(weights);
    const double ms = static_cast<double>(clock.NowNanoseconds() - start) * 1e-6;
    const double after = runtime::MeasurePace(clock, rates);
    const double paced_ms = 2 * ms / (before + after);
    if (best_unsteady == 0 || paced_ms < best_unsteady) best_unsteady = paced_ms;
    if (i > 0 && std::abs(before - after) < kPaceChangeMax * after) {
      ++good;
      if (best == 0 || paced_ms < best) best = paced_ms;
    }
    spent_ms += ms;
    before = after;
  }
  return good > 0 ? best : best_unsteady;
}

void NodeTimer::ComputeOnce(Weights weights) {
  for (uint32_t y = 0; y < output_rows_; y += rows_) {
    const std::byte* held = nullptr;
    if (!copies_.empty()) {
      if (weights == Weights::kCold)
        next_copy_ = (next_copy_ + 1) % static_cast<uint32_t>(copies_.size());
      held = copies_[next_copy_];
    }
    ComputeAction(weights, {y, std::min(y + rows_, output_rows_)}, held);
  }
}

void NodeTimer::ComputeAction(Weights weights, kernels::RowRange rows, const std::byte* held) {
  const std::vector<graph::ChunkDescriptor>& chunks = node_.weights.chunks;
  if (row_kernel_ != nullptr) {
    // Constants are one block of several chunks: never streamed.
    row_kernel_({&graph_, &node_, images_, reinterpret_cast<const float*>(held), workspace_}, rows);
    return;
  }
  for (uint32_t i = 0; i < chunks.size(); ++i) {
    kernels::Prefetch prefetch;
    const bool more = i + 1 < chunks.size();
    if (weights == Weights::kStreamed) {
      CORACLE_CHECK(opener_.Open(chunks[i].index, {slot_, chunks[i].bytes}) ==
                    crypto::Verdict::kAuthentic);
      const Bytes next = opener_.Ciphertext(chunks[more ? i + 1 : 0].index);
      prefetch = {next.data(), next.data() + next.size()};
      ComputeChunk(i, slot_, rows, &prefetch);
      continue;
    }
    if (more) prefetch = {held + chunks[i].bytes, held + chunks[i].bytes + chunks[i + 1].bytes};
    ComputeChunk(i, held, rows, &prefetch);
    held += chunks[i].bytes;
  }
}

void NodeTimer::ComputeChunk(uint32_t chunk, const std::byte* text, kernels::RowRange rows,
                             kernels::Prefetch* prefetch) {
  panel_kernel_({.graph = &graph_,
                 .node = &node_,
                 .images = images_,
                 .chunk = &node_.weights.chunks[chunk],
                 .weights = text,
                 .workspace = workspace_,
                 .prefetch = prefetch},
                rows);
}

}  // namespace coracle::bench
