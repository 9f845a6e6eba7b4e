#include "kernels/simd/depthwise.h"

#include <algorithm>
#include <variant>

#include "kernels/packing.h"
#include "kernels/simd/depthwise_tiles.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/depthwise.cc"
#include "hwy/foreach_target.h"
// Highway's order.
#include "hwy/highway.h"
#include "kernels/simd/depthwise_tile-inl.h"
#include "kernels/simd/panels_finish-inl.h"
#include "kernels/simd/row_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {
namespace {

/// Channels that go through the stage at a time.
constexpr uint32_t kStageChannels = 64;
/// A strip is computed for as many channels at a time as keep their weights in half of a
/// first-level cache.
constexpr uint32_t kSliceWeights = 16 * 1024 / sizeof(float);

/// One chunk's channels.
class DepthwisePass {
 public:
  explicit DepthwisePass(const PanelArgs& args)
      : args_(args),
        window_(std::get<graph::Conv>(args.node->attrs).window),
        method_(MethodFor(window_)),
        taps_(window_.kernel_h * window_.kernel_w),
        stride_(args.chunk->panel_count * kPanelGranule),
        text_(reinterpret_cast<const float*>(args.weights)) {
    // Windows of many taps are summed by several tables of a single pixel.
    tap_run_ = taps_;
    if (method_.table == DepthwiseTable::kTaps &&
        taps_ * kDepthwisePixelsMax > kDepthwisePointersMax) {
      pixels_max_ = 1;
      tap_run_ = std::min(taps_, kDepthwisePointersMax);
    }
    direct_ = FinishInRegisters(args.node->activation, finish_) && tap_run_ == taps_;
    finish_.residual = args.node->residual;
    for (uint32_t i = 0; i < kDepthwiseSumsMax; ++i) {
      stage_rows_[i] = stage_ + size_t{i} * kStageChannels;
    }
  }

  void Multiply(RowRange rows) {
    const uint32_t begin = args_.chunk->panel_begin * kPanelGranule;
    const uint32_t channels = args_.graph->shape(args_.node->output).Back(0);
    const uint32_t end = std::min(channels, begin + stride_);
    const uint32_t most = tap_run_ == taps_ ? kDepthwiseChannelsMax : kStageChannels;
    for (uint32_t c = begin; c < end; c += most) {
      MultiplyChannels(rows, c, std::min(most, end - c));
    }
  }

 private:
  void MultiplyChannels(RowRange rows, uint32_t channel, uint32_t count) {
    DepthwiseTiles tiles({.images = args_.images,
                          .rows = rows,
                          .has_residual = args_.node->residual != graph::Residual::kNone,
                          .window = window_,
                          .table = method_.table,
                          .tap_end = tap_run_,
                          .pixels_max = pixels_max_,
                          .rows_max = method_.rows[1] != nullptr ? 2U : 1U,
                          .channel_begin = channel,
                          .channel_count = count});
    const uint32_t slice =
        std::max(kStageChannels, kSliceWeights / taps_ / kPanelGranule * kPanelGranule);
    for (auto strip = tiles.Next(); !strip.empty(); strip = tiles.Next()) {
      for (uint32_t c = 0; c < count; c += slice) {
        for (const DepthwiseTile& tile : strip) {
          MultiplyTile(tiles, tile, CallFor(tile, channel, c, std::min(slice, count - c)));
        }
      }
    }
  }

  /// Channels [c, c + count) of those that the tables count from `channel` on.
  DepthwiseCall CallFor(const DepthwiseTile& tile, uint32_t channel, uint32_t c, uint32_t count) {
    const uint32_t first = channel + c - args_.chunk->panel_begin * kPanelGranule;
    DepthwiseCall call{
        .table = tile.table,
        .rows = method_.table == DepthwiseTable::kColumns ? window_.kernel_h : tap_run_,
        .weights = text_ + stride_ + first,
        .weight_stride = stride_,
        .bias = text_ + first,
        .channel = static_cast<ptrdiff_t>(channel) + c,
        .table_begin = c,
        .channels = count,
        .finish = finish_};
    call.finish.outputs = tile.outputs;
    call.finish.residuals = tile.residuals;
    return call;
  }

  void MultiplyTile(DepthwiseTiles& tiles, const DepthwiseTile& tile, const DepthwiseCall& call) {
    const DepthwiseFunction function = method_.rows[tile.rows - 1][tile.pixels - 1];
    if (direct_) {
      function(call);
      return;
    }
    for (uint32_t c = 0; c < call.channels; c += kStageChannels) {
      DepthwiseCall part = call;
      part.channels = std::min(kStageChannels, call.channels - c);
      part.table_begin += c;
      part.weights += c;
      part.bias += c;
      part.channel = 0;
      part.finish = {.outputs = stage_rows_};
      function(part);
      AddMoreTaps(tiles, tile, part);
      StoreStage({.finish = &call.finish,
                  .stage = stage_,
                  .stride = kStageChannels,
                  .channel = call.channel + c,
                  .pixels = tile.pixels * tile.rows,
                  .columns = part.channels},
                 &args_.node->activation);
    }
  }

  /// Adds the taps that the tile's first table has no room for to the staged sums.
  void AddMoreTaps(DepthwiseTiles& tiles, const DepthwiseTile& tile, DepthwiseCall call) {
    for (uint32_t tap = tap_run_; tap < taps_; tap += tap_run_) {
      call.rows = std::min(tap_run_, taps_ - tap);
      tiles.RefillTaps(tap, tap + call.rows, tile);
      call.weights += size_t{tap_run_} * stride_;
      call.bias = nullptr;
      method_.rows[0][tile.pixels - 1](call);
    }
  }

  const PanelArgs& args_;
  const graph::Window& window_;
  const DepthwiseMethod method_;
  const uint32_t taps_;
  const uint32_t stride_;  // columns of the chunk
  const float* const text_;
  uint32_t pixels_max_ = kDepthwisePixelsMax;
  uint32_t tap_run_ = 0;  // taps of one table
  bool direct_ = true;    // tiles end their sums themselves
  TileFinish finish_;
  HWY_ALIGN float stage_[kDepthwiseSumsMax * kStageChannels];
  float* stage_rows_[kDepthwiseSumsMax];
};

void Depthwise(const PanelArgs& args, RowRange rows) { DepthwisePass(args).Multiply(rows); }

}  // namespace

PanelKernel DepthwiseForTarget() { return &Depthwise; }

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace coracle::kernels {

PanelKernel SimdDepthwise(int64_t hwy_target) {
  CORACLE_CALL_FOR_TARGET(hwy_target, DepthwiseForTarget)
}

}  // namespace coracle::kernels
#endif
