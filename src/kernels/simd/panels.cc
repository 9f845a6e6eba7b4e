#include "kernels/simd/panels.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "base/check.h"
#include "kernels/packing.h"
#include "kernels/panel_text.h"
#include "kernels/panel_workspace.h"
#include "kernels/simd/panels_run.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/panels.cc"
#include "hwy/foreach_target.h"
// Highway's order.
#include "hwy/highway.h"
#include "kernels/simd/dequantize-inl.h"
#include "kernels/simd/panels_finish-inl.h"
#include "kernels/simd/panels_tile-inl.h"
#include "kernels/simd/panels_woven-inl.h"
#include "kernels/simd/row_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {
namespace {

/// One pass over a run of panels.
class RunPass {
 public:
  RunPass(const PanelArgs& args, const PanelRun& run, uint32_t k_begin)
      : args_(args), run_(run), k_begin_(k_begin) {
    columns_ = std::min(run.width, kTileColumnsMax);
    tiles_ = TilesFor(columns_ / kTileLanes);
    call_.weight_stride = run.width;
    for (uint32_t i = 0; i < kTilePixelsMax; ++i) {
      stage_rows_[i] = stage_ + size_t{i} * kTileColumnsMax;
    }
  }

  /// Returns the K row after the last that it has multiplied.
  uint32_t Multiply(RowRange rows) {
    TileBlocks blocks(RequestFor(args_, run_, rows, k_begin_, TilePixels(columns_ / kTileLanes)));
    completes_ = blocks.k_end() == run_.k_count;
    if (completes_) {
      in_registers_ = FinishInRegisters(args_.node->activation, call_.finish);
      call_.finish.residual = args_.node->residual;
    }
    for (auto tiles = blocks.Next(); !tiles.empty(); tiles = blocks.Next()) {
      for (uint32_t p = 0; p < run_.panels; ++p) {
        for (uint32_t column = 0; column < run_.width; column += columns_) {
          MultiplyTiles(tiles, p, column);
        }
      }
    }
    return blocks.k_end();
  }

 private:
  /// Columns [column, column + columns_) of panel `p` of the run.
  void MultiplyTiles(std::span<const Tile> tiles, uint32_t p, uint32_t column) {
    const uint32_t channel = p * kPanelChannels + column;
    if (channel >= run_.channel_count) return;
    const uint32_t count = std::min(columns_, run_.channel_count - channel);
    call_.weights = run_.Weights(p, k_begin_) + column;
    call_.bias = k_begin_ == 0 ? run_.Bias(p) + column : nullptr;
    call_.channel = static_cast<ptrdiff_t>(run_.channel_begin + channel);
    // A tile's own end takes partial vectors in its last column only.
    const bool direct = in_registers_ && count + kTileLanes > columns_;
    call_.finish.last_count = direct ? count + kTileLanes - columns_ : 0;
    for (const Tile& tile : tiles) {
      call_.table = tile.table;
      call_.lengths = tile.segments->lengths.data();
      call_.segment_count = tile.segments->count;
      call_.finish.outputs = tile.outputs;
      call_.finish.residuals = tile.residuals;
      AskAhead(call_, args_.prefetch, tile.segments->pairs);
      if (direct) {
        tiles_[tile.pixels - 1](call_);
      } else {
        MultiplyStaged(tile, count);
      }
    }
  }

  void MultiplyStaged(const Tile& tile, uint32_t count) {
    const StagedTile staged{.finish = &call_.finish,
                            .stage = stage_,
                            .stride = kTileColumnsMax,
                            .channel = call_.channel,
                            .pixels = tile.pixels,
                            .columns = count};
    if (call_.bias == nullptr) LoadStage(staged);
    TileCall call = call_;
    call.channel = 0;
    call.finish = {.outputs = stage_rows_, .last_count = kTileLanes};
    tiles_[tile.pixels - 1](call);
    StoreStage(staged, completes_ ? &args_.node->activation : nullptr);
  }

  const PanelArgs& args_;
  const PanelRun& run_;
  uint32_t k_begin_;
  uint32_t columns_ = 0;  // of a tile
  TileFunctions tiles_ = nullptr;
  bool completes_ = false;
  bool in_registers_ = true;  // tiles can end their sums themselves
  TileCall call_;
  HWY_ALIGN float stage_[kTilePixelsMax * kTileColumnsMax];
  float* stage_rows_[kTilePixelsMax];
};

void MultiplyRun(const PanelArgs& args, const PanelRun& run, RowRange rows) {
  uint32_t k = run.k_begin;
  do {
    RunPass pass(args, run, k);
    k = pass.Multiply(rows);
  } while (k < run.k_end);
}

/// One block of a quantised panel at a time, dequantised into the workspace and multiplied as a
/// chunk of float32 would be: the bits are those of a float32 model with these weights.
class QuantizedPass {
 public:
  QuantizedPass(const PanelArgs& args)
      : args_(args), block_(reinterpret_cast<float*>(args.workspace.data())) {
    const uint64_t bytes = DequantizedFloats(*args.graph, *args.node) * sizeof(float);
    CORACLE_CHECK(args.workspace.size() >= bytes);
    args_.workspace = args.workspace.subspan(bytes);
  }

  void Multiply(RowRange rows) {
    const graph::ChunkDescriptor& chunk = *args_.chunk;
    const std::byte* text = args_.weights;
    for (uint32_t i = 0; i < chunk.panel_count; ++i) {
      const PanelGeometry panel = PanelAt(*args_.graph, *args_.node, chunk.panel_begin + i);
      const PanelText layout(args_.node->weight_type, panel.width, chunk.k_count,
                             chunk.k_begin == 0);
      uint32_t row = 0;
      do {  // once where a phase of a transposed convolution has no taps
        const uint32_t end = std::min(row + kDequantizedRowsMax, chunk.k_count);
        MultiplyBlock(panel, Dequantize(layout, text, row, end), {row, end}, rows);
        row = end;
      } while (row < chunk.k_count);
      text += layout.Bytes();
    }
  }

 private:
  /// The block as the text of a float32 chunk.
  const float* Dequantize(const PanelText& layout, const std::byte* text, uint32_t row,
                          uint32_t end) {
    float* out = block_;
    if (row == 0 && layout.begins_panel()) {
      std::memcpy(out, text, layout.width() * sizeof(float));
      out += layout.width();
    }
    DequantizeRows(layout, text, row, end, out);
    return block_;
  }

  /// `block`: rows of the chunk.
  void MultiplyBlock(const PanelGeometry& panel, const float* data, RowRange block, RowRange rows) {
    const PanelRun run{.first = panel,
                       .panels = 1,
                       .width = panel.width,
                       .channel_begin = panel.channel_begin,
                       .channel_count = panel.channel_count,
                       .k_begin = args_.chunk->k_begin + block.begin,
                       .k_end = args_.chunk->k_begin + block.end,
                       .k_count = panel.k_count,
                       .data = data};
    MultiplyRun(args_, run, rows);
  }

  PanelArgs args_;
  float* const block_;
};

void Panels(const PanelArgs& args, RowRange rows) {
  if (IsDequantized(args.node->weight_type)) return QuantizedPass(args).Multiply(rows);
  if constexpr (kTileLanes >= 8) {
    if (WovenPass::Takes(args)) return WovenPass(args).Multiply(rows);
  }
  const uint32_t together = RowsTogether(args);
  for (RowRange some = rows; some.begin < rows.end; some.begin = some.end) {
    some.end = some.begin + std::min(together, rows.end - some.begin);
    for (PanelRuns runs(args); runs.Next();) {
      MultiplyRun(args, runs.run(), some);
    }
  }
}

}  // namespace

PanelKernel PanelsForTarget() { return &Panels; }

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace coracle::kernels {

PanelKernel SimdPanels(int64_t hwy_target) { CORACLE_CALL_FOR_TARGET(hwy_target, PanelsForTarget) }

}  // namespace coracle::kernels
#endif
