#include "kernels/simd/depthwise.h"

#include <algorithm>
#include <variant>

#include "kernels/packing.h"
#include "kernels/simd/depthwise_tiles.h"

// A target without FMA is no faster than the portable one.
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/depthwise.cc"
#include "hwy/foreach_target.h"
// Highway's order.
#include "hwy/highway.h"
#include "kernels/simd/depthwise_tile-inl.h"
#include "kernels/simd/panels_finish-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {
namespace {

/// Channels that go through the stage at a time.
constexpr uint32_t kStageChannels = 64;

/// One chunk's channels, in slices that share a zero pixel.
class DepthwisePass {
 public:
  explicit DepthwisePass(const PanelArgs& args)
      : args_(args), window_(std::get<graph::Conv>(args.node->attrs).window) {
    const uint32_t taps = window_.kernel_h * window_.kernel_w;
    stride_ = args.chunk->panel_count * kPanelGranule;
    functions_ = ColumnFunctionsFor(window_);
    table_ = functions_ != nullptr ? DepthwiseTable::kColumns : DepthwiseTable::kTaps;
    if (functions_ == nullptr) functions_ = FunctionsOf<TapSums>();
    // Windows of many taps are summed in passes of a single pixel's table.
    tap_run_ = taps;
    if (table_ == DepthwiseTable::kTaps && taps * kDepthwisePixelsMax > kDepthwisePointersMax) {
      pixels_max_ = 1;
      tap_run_ = std::min(taps, kDepthwisePointersMax);
    }
    direct_ = FinishInRegisters(args.node->activation, finish_) && tap_run_ == taps;
    finish_.residual = args.node->residual;
    for (uint32_t i = 0; i < kDepthwisePixelsMax; ++i) {
      stage_rows_[i] = stage_ + size_t{i} * kStageChannels;
    }
  }

  void Multiply(RowRange rows) {
    const uint32_t begin = args_.chunk->panel_begin * kPanelGranule;
    const uint32_t channels = args_.graph->shape(args_.node->output).Back(0);
    const uint32_t end = std::min(channels, begin + stride_);
    const uint32_t slice =
        tap_run_ == window_.kernel_h * window_.kernel_w ? kDepthwiseChannelsMax : kStageChannels;
    for (uint32_t c = begin; c < end; c += slice) {
      MultiplySlice(rows, c, std::min(slice, end - c));
    }
  }

 private:
  void MultiplySlice(RowRange rows, uint32_t channel, uint32_t count) {
    DepthwiseTiles tiles({.images = args_.images,
                          .rows = rows,
                          .has_residual = args_.node->residual != graph::Residual::kNone,
                          .window = window_,
                          .table = table_,
                          .tap_begin = 0,
                          .tap_end = tap_run_,
                          .pixels_max = pixels_max_,
                          .channel_begin = channel,
                          .channel_count = count});
    while (tiles.Next(tile_)) {
      const uint32_t first = channel - args_.chunk->panel_begin * kPanelGranule;
      DepthwiseCall call{.table = tile_.table.data(),
                         .rows = table_ == DepthwiseTable::kColumns ? window_.kernel_h : tap_run_,
                         .weights = args_.weights + stride_ + first,
                         .weight_stride = stride_,
                         .bias = args_.weights + first,
                         .channel = channel,
                         .channels = count,
                         .finish = finish_};
      call.finish.outputs = tile_.outputs.data();
      call.finish.residuals = tile_.residuals.data();
      if (direct_) {
        functions_[tile_.pixels - 1](call);
      } else {
        MultiplyStaged(tiles, call);
      }
    }
  }

  /// The tile by way of the stage, and by several tables if the window has too many taps for one.
  void MultiplyStaged(const DepthwiseTiles& tiles, const DepthwiseCall& whole) {
    const uint32_t taps = window_.kernel_h * window_.kernel_w;
    for (uint32_t c = 0; c < whole.channels; c += kStageChannels) {
      DepthwiseCall call = whole;
      call.channels = std::min(kStageChannels, whole.channels - c);
      call.table_begin = c;
      call.weights += c;
      call.bias += c;
      call.channel = 0;
      call.finish = {.outputs = stage_rows_};
      functions_[tile_.pixels - 1](call);
      for (uint32_t tap = tap_run_; tap < taps; tap += tap_run_) {
        call.rows = std::min(tap_run_, taps - tap);
        tiles.RefillTaps(tap, tap + call.rows, tile_);
        call.weights += size_t{tap_run_} * stride_;
        call.bias = nullptr;
        functions_[tile_.pixels - 1](call);
      }
      StoreStage({.finish = &whole.finish,
                  .stage = stage_,
                  .stride = kStageChannels,
                  .channel = whole.channel + c,
                  .pixels = tile_.pixels,
                  .columns = call.channels},
                 &args_.node->activation);
    }
  }

  const PanelArgs& args_;
  const graph::Window& window_;
  uint32_t stride_ = 0;  // columns of the chunk
  DepthwiseTable table_ = DepthwiseTable::kTaps;
  DepthwiseFunctions functions_ = nullptr;
  uint32_t pixels_max_ = kDepthwisePixelsMax;
  uint32_t tap_run_ = 0;  // taps of one table
  bool direct_ = true;    // tiles end their sums themselves
  TileFinish finish_;
  DepthwiseTile tile_;
  HWY_ALIGN float stage_[kDepthwisePixelsMax * kStageChannels];
  float* stage_rows_[kDepthwisePixelsMax];
};

void Depthwise(const PanelArgs& args, RowRange rows) { DepthwisePass(args).Multiply(rows); }

}  // namespace

PanelKernel DepthwiseForTarget() { return &Depthwise; }

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace coracle::kernels {

PanelKernel SimdDepthwise(int64_t hwy_target) {
  switch (hwy_target) {
#if HWY_TARGETS & HWY_AVX3_DL
    case HWY_AVX3_DL:
      return N_AVX3_DL::DepthwiseForTarget();
#endif
#if HWY_TARGETS & HWY_AVX3
    case HWY_AVX3:
      return N_AVX3::DepthwiseForTarget();
#endif
#if HWY_TARGETS & HWY_AVX2
    case HWY_AVX2:
      return N_AVX2::DepthwiseForTarget();
#endif
    default:
      return HWY_STATIC_DISPATCH(DepthwiseForTarget)();
  }
}

}  // namespace coracle::kernels
#endif
