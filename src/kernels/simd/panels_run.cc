#include "kernels/simd/panels_run.h"

#include <algorithm>

namespace coracle::kernels {
namespace {

constexpr uint32_t kBlockFloats = 16 * 1024 / sizeof(float);
constexpr uint64_t kTogetherFloats = 512 * 1024 / sizeof(float);

}  // namespace

PanelRuns::PanelRuns(const PanelArgs& args)
    : args_(args),
      next_panel_(args.chunk->panel_begin),
      end_panel_(args.chunk->panel_begin + args.chunk->panel_count),
      next_data_(reinterpret_cast<const float*>(args.weights)) {}

bool PanelRuns::Next() {
  if (next_panel_ == end_panel_) return false;
  const graph::ChunkDescriptor& chunk = *args_.chunk;
  run_ = {.first = PanelAt(*args_.graph, *args_.node, next_panel_), .data = next_data_};
  run_.width = run_.first.width;
  run_.channel_begin = run_.first.channel_begin;
  run_.k_begin = chunk.k_begin;
  run_.k_end = chunk.k_begin + chunk.k_count;
  run_.k_count = run_.first.k_count;
  PanelGeometry panel = run_.first;
  do {
    ++run_.panels;
    run_.channel_count += panel.channel_count;
    if (++next_panel_ == end_panel_) break;
    panel = PanelAt(*args_.graph, *args_.node, next_panel_);
  } while (panel.part == run_.first.part && panel.width == run_.width);
  next_data_ += run_.panels * run_.PanelFloats();
  return true;
}

uint32_t RowsTogether(const PanelArgs& args) {
  const graph::ChunkDescriptor& chunk = *args.chunk;
  if (chunk.panel_count == 1) return UINT32_MAX;
  const PanelGeometry first = PanelAt(*args.graph, *args.node, chunk.panel_begin);
  const PanelGeometry last =
      PanelAt(*args.graph, *args.node, chunk.panel_begin + chunk.panel_count - 1);
  if (first.part == last.part && first.width == last.width) return UINT32_MAX;
  const Rows& in = args.images[0].inputs[0];
  const Rows& out = args.images[0].output;
  const uint64_t in_floats = uint64_t{in.rows} * in.pixels * static_cast<uint64_t>(in.pixel_stride);
  const uint64_t row_floats = uint64_t{out.pixels} * static_cast<uint64_t>(out.pixel_stride) +
                              in_floats / std::max(1U, out.rows);
  const uint64_t floats = row_floats * args.images.size();
  // Never so few that tiles would not fill, nor fewer than the phases of a transposed convolution.
  constexpr uint64_t kRowsMin = 8;
  return static_cast<uint32_t>(
      std::clamp<uint64_t>(kTogetherFloats / std::max<uint64_t>(1, floats), kRowsMin, UINT32_MAX));
}

TileRequest RequestFor(const PanelArgs& args, const PanelRun& run, RowRange rows, uint32_t k_begin,
                       uint32_t tile_pixels) {
  const uint32_t block_pixels =
      run.panels == 1 ? UINT32_MAX : kBlockFloats / std::max(1U, run.k_end - k_begin);
  return {.images = args.images,
          .rows = rows,
          .has_residual = args.node->residual != graph::Residual::kNone,
          .part = PartOf(*args.graph, *args.node, run.first),
          .k_begin = k_begin,
          .k_end = run.k_end,
          .tile_pixels = tile_pixels,
          .block_pixels = block_pixels,
          .workspace = args.workspace};
}

}  // namespace coracle::kernels
