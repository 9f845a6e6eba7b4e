#include "kernels/simd/panels.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "kernels/packing.h"
#include "kernels/simd/panels_run.h"

// A target without FMA is no faster than the portable one.
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/panels.cc"
#include "hwy/foreach_target.h"
// Highway's order.
#include "hwy/highway.h"
#include "kernels/simd/panels_finish-inl.h"
#include "kernels/simd/panels_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {
namespace {

/// One pass over a run of panels.
class RunPass {
 public:
  RunPass(const PanelArgs& args, const PanelRun& run, uint32_t k_begin)
      : args_(args), run_(run), k_begin_(k_begin) {
    for (uint32_t i = 0; i < kTilePixelsMax; ++i) {
      stage_rows_[i] = stage_ + size_t{i} * kTileColumnsMax;
    }
  }

  /// Returns the K row after the last that it has multiplied.
  uint32_t Multiply(RowRange rows) {
    const uint32_t columns = std::min(run_.width, kTileColumnsMax);
    vecs_ = columns / kTileLanes;
    TileBlocks blocks(RequestFor(args_, run_, rows, k_begin_, TilePixels(vecs_)));
    completes_ = blocks.k_end() == run_.k_count;
    direct_ = true;
    if (completes_) {
      direct_ = FinishInRegisters(args_.node->activation, finish_);
      finish_.residual = args_.node->residual;
    }
    for (auto tiles = blocks.Next(); !tiles.empty(); tiles = blocks.Next()) {
      for (uint32_t p = 0; p < run_.panels; ++p) {
        for (const Tile& tile : tiles) {
          for (uint32_t c = 0; c < run_.width; c += columns) MultiplyTile(tile, p, c);
        }
      }
    }
    return blocks.k_end();
  }

 private:
  /// Columns [column, column + columns of a tile) of panel `p` of the run.
  void MultiplyTile(const Tile& tile, uint32_t p, uint32_t column) {
    const uint32_t channel = p * kPanelChannels + column;
    if (channel >= run_.channel_count) return;
    const uint32_t columns = vecs_ * kTileLanes;
    const uint32_t count = std::min(columns, run_.channel_count - channel);
    TileCall call{.table = tile.table,
                  .lengths = tile.segments->lengths.data(),
                  .segment_count = tile.segments->count,
                  .weights = run_.Weights(p, k_begin_) + column,
                  .weight_stride = run_.width,
                  .bias = k_begin_ == 0 ? run_.Bias(p) + column : nullptr,
                  .channel = static_cast<ptrdiff_t>(run_.channel_begin + channel)};
    AskAhead(tile.segments->pairs, call);
    call.finish = finish_;
    call.finish.outputs = tile.outputs;
    call.finish.residuals = tile.residuals;
    if (direct_ && count + kTileLanes > columns) {
      call.finish.last_count = count == columns ? 0 : count + kTileLanes - columns;
      TileFor(tile.pixels, vecs_)(call);
      return;
    }
    const TileFinish finish = call.finish;
    const StagedTile staged{.finish = &finish,
                            .stage = stage_,
                            .stride = kTileColumnsMax,
                            .channel = call.channel,
                            .pixels = tile.pixels,
                            .columns = count};
    if (call.bias == nullptr) LoadStage(staged);
    call.finish = {.outputs = stage_rows_};
    call.channel = 0;
    TileFor(tile.pixels, vecs_)(call);
    StoreStage(staged, completes_ ? &args_.node->activation : nullptr);
  }

  /// Spreads what is to be prefetched over the tiles, one line per two K rows.
  void AskAhead(uint32_t pairs, TileCall& call) {
    call.prefetch = reinterpret_cast<const char*>(call.weights);
    if (args_.prefetch == nullptr || pairs == 0) return;
    Prefetch& ahead = *args_.prefetch;
    const ptrdiff_t left = ahead.end - ahead.next;
    if (left <= 0) return;
    call.prefetch = reinterpret_cast<const char*>(ahead.next);
    call.prefetch_step = std::min<ptrdiff_t>(64, left / pairs);
    ahead.next += call.prefetch_step < 64 ? left : call.prefetch_step * pairs;
  }

  const PanelArgs& args_;
  const PanelRun& run_;
  uint32_t k_begin_;
  uint32_t vecs_ = 0;
  bool completes_ = false;
  bool direct_ = true;  // tiles end their sums themselves
  TileFinish finish_;
  HWY_ALIGN float stage_[kTilePixelsMax * kTileColumnsMax];
  float* stage_rows_[kTilePixelsMax];
};

void Panels(const PanelArgs& args, RowRange rows) {
  for (PanelRuns runs(args); runs.Next();) {
    const PanelRun& run = runs.run();
    uint32_t k = run.k_begin;
    do {
      RunPass pass(args, run, k);
      k = pass.Multiply(rows);
    } while (k < run.k_end);
  }
}

}  // namespace

PanelKernel PanelsForTarget() { return &Panels; }

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace coracle::kernels {

PanelKernel SimdPanels(int64_t hwy_target) {
  switch (hwy_target) {
#if HWY_TARGETS & HWY_AVX3_DL
    case HWY_AVX3_DL:
      return N_AVX3_DL::PanelsForTarget();
#endif
#if HWY_TARGETS & HWY_AVX3
    case HWY_AVX3:
      return N_AVX3::PanelsForTarget();
#endif
#if HWY_TARGETS & HWY_AVX2
    case HWY_AVX2:
      return N_AVX2::PanelsForTarget();
#endif
    default:
      return HWY_STATIC_DISPATCH(PanelsForTarget)();
  }
}

}  // namespace coracle::kernels
#endif
