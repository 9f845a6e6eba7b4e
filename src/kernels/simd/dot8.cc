#include "kernels/simd/dot8.h"

#include <algorithm>
#include <span>

#include "kernels/dot8.h"
#include "kernels/packing.h"
#include "kernels/quantized.h"
#include "kernels/reference/reference.h"
#include "kernels/simd/dot8_tiles.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/dot8.cc"
#include "hwy/foreach_target.h"
// Highway's order.
#include "hwy/highway.h"
#include "kernels/simd/dot8_finish-inl.h"
#include "kernels/simd/dot8_tile-inl.h"
#include "kernels/simd/row_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {
namespace {

#if CORACLE_INTEGER_KERNELS

/// Windows of tiles that share a block are kept at about half of a first-level cache.
constexpr uint32_t kBlockBytes = 16 * 1024;

/// Panels of a chunk that have part and width in common and follow one another.
struct DotRun {
  PanelGeometry first;
  uint32_t panels = 0;
  uint32_t channel_count = 0;  // of all of them
  const std::byte* text = nullptr;
  uint64_t panel_bytes = 0;
};

/// Some images of one chunk, all of whose inputs have the same parameters.
class DotPass {
 public:
  /// `pixels_before`: output pixels of the action's images before these.
  DotPass(const PanelArgs& args, std::span<const Image> images, size_t pixels_before)
      : args_(args),
        images_(images),
        workspace_(Dot8WorkspaceOf(*args.graph, *args.node)),
        pixels_before_(pixels_before),
        finish_(*args.graph, *args.node, images[0]) {}

  void Multiply(RowRange rows) {
    const graph::ChunkDescriptor& chunk = *args_.chunk;
    const uint32_t end = chunk.panel_begin + chunk.panel_count;
    const std::byte* text = args_.weights;
    for (uint32_t next = chunk.panel_begin; next < end;) {
      DotRun run{.first = PanelAt(*args_.graph, *args_.node, next), .text = text};
      run.panel_bytes = Dot8PanelBytes(*args_.graph, *args_.node, run.first.width, chunk.k_count);
      PanelGeometry panel = run.first;
      do {
        ++run.panels;
        run.channel_count += panel.channel_count;
        if (++next == end) break;
        panel = PanelAt(*args_.graph, *args_.node, next);
      } while (panel.part == run.first.part && panel.width == run.first.width);
      MultiplyRun(rows, run);
      text += run.panels * run.panel_bytes;
    }
  }

 private:
  void MultiplyRun(RowRange rows, const DotRun& run) {
    const graph::ChunkDescriptor& chunk = *args_.chunk;
    const uint32_t pixels = DotTilePixels(run.first.width);
    DotTiles cutter({.images = images_,
                     .rows = rows,
                     .part = PartOf(*args_.graph, *args_.node, run.first),
                     .k_begin = chunk.k_begin,
                     .k_end = chunk.k_begin + chunk.k_count,
                     .output_bytes = finish_.output_bytes(),
                     .tile_pixels = pixels,
                     .block_pixels = run.panels == 1
                                         ? UINT32_MAX
                                         : std::max(pixels, kBlockBytes / (chunk.k_count + 1)),
                     .in_zero = finish_.in_zero(),
                     .copies = workspace_.copies,
                     .patch = args_.workspace.first(workspace_.patch)});
    for (auto tiles = cutter.Next(); !tiles.empty(); tiles = cutter.Next()) {
      for (uint32_t p = 0; p < run.panels; ++p) {
        const uint32_t before = p * kPanelChannels;
        PanelGeometry panel = run.first;
        panel.channel_begin += before;
        panel.channel_count = std::min(run.first.width, run.channel_count - before);
        MultiplyTiles(tiles, panel, run.text + p * run.panel_bytes);
      }
    }
  }

  void MultiplyTiles(std::span<const DotTile> tiles, const PanelGeometry& panel,
                     const std::byte* text) {
    const graph::ChunkDescriptor& chunk = *args_.chunk;
    const auto* weights = reinterpret_cast<const int8_t*>(finish_.EnterPanel(text, panel.width));
    const bool completes = chunk.k_begin + chunk.k_count == panel.k_count;
    auto* const partial = reinterpret_cast<int32_t*>(args_.workspace.data() + workspace_.patch);
    for (const DotTile& tile : tiles) {
      DotCall call{.table = tile.table,
                   .lengths = tile.lengths,
                   .segment_count = tile.segment_count,
                   .weight_stride = size_t{panel.width} * kDot8Group,
                   .prefetch = reinterpret_cast<const char*>(weights)};
      for (uint32_t column = 0; column < panel.width;) {
        const DotShape shape = DotShapeFor(panel.width - column);
        call.weights = weights + size_t{column} * kDot8Group;
        call.start = finish_.start() + column;
        call.sums = sums_ + column;
        AskAhead(call, args_.prefetch, tile.groups);
        shape.tiles[tile.pixels - 1](call);
        column += shape.columns;
      }
      const size_t first = (pixels_before_ + tile.first) * panel.width;
      finish_.Correct(tile, sums_, chunk.k_begin == 0 ? nullptr : partial + first);
      if (completes) {
        finish_.Store(tile, sums_, panel);
      } else {
        KeepSums(tile, panel.width, partial + first);
      }
    }
  }

  void KeepSums(const DotTile& tile, uint32_t width, int32_t* partial) const {
    for (uint32_t i = 0; i < tile.pixels; ++i) {
      std::copy_n(sums_ + size_t{i} * kPanelChannels, width, partial + size_t{i} * width);
    }
  }

  const PanelArgs& args_;
  std::span<const Image> images_;
  const Dot8Workspace workspace_;
  const size_t pixels_before_;
  DotFinish finish_;
  HWY_ALIGN int32_t sums_[kDotPixelsMax * kPanelChannels];
};

void IntegerPanels(const PanelArgs& args, RowRange rows) {
  if (args.node->integer.in_source == graph::QuantizationSource::kConstant) {
    DotPass(args, args.images, 0).Multiply(rows);
    return;
  }
  size_t pixels = 0;  // each image has parameters of its own
  for (size_t i = 0; i < args.images.size(); ++i) {
    DotPass(args, args.images.subspan(i, 1), pixels).Multiply(rows);
    pixels += size_t{rows.count()} * args.images[i].output.pixels;
  }
}

#endif

}  // namespace

PanelKernel IntegerPanelsForTarget() {
#if CORACLE_INTEGER_KERNELS
  return &IntegerPanels;
#else
  return &reference::IntegerPanels;
#endif
}

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace coracle::kernels {

int64_t TargetWithDots(int64_t hwy_target) {
#if HWY_TARGETS & HWY_AVX3
  if (hwy_target == HWY_AVX3 && __builtin_cpu_supports("avx512vnni") == 0) return HWY_AVX2;
#endif
  return hwy_target;
}

PanelKernel SimdIntegerPanels(int64_t hwy_target) {
  CORACLE_CALL_FOR_TARGET(TargetWithDots(hwy_target), IntegerPanelsForTarget)
}

}  // namespace coracle::kernels
#endif
