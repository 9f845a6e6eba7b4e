#include <algorithm>
#include <span>
#include <utility>

#include "kernels/dot8.h"
#include "kernels/packing.h"
#include "kernels/reference/reference.h"
#include "kernels/simd/dot8.h"
#include "kernels/window_axis.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/dot8_depthwise.cc"
#include "hwy/foreach_target.h"
// Highway's order.
#include "hwy/highway.h"
#include "kernels/simd/dot8_finish-inl.h"
#include "kernels/simd/row_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {
namespace {

#if CORACLE_INTEGER_KERNELS

/// Neighbouring pixels that are computed together.
constexpr uint32_t kPixels = 4;
/// Taps that one table lists; windows of more take several.
constexpr uint32_t kTableTaps = 128;
/// Channels that share one pixel of zeros.
constexpr uint32_t kSliceChannels = 1024;

/// sum += x w, values of int16 in lanes of int32. AVX-512: by VNNI's instruction, which is no part
/// of this target.
HWY_INLINE void AddShort(const IntVec& x, const IntVec& w, IntVec& sum) {
#if HWY_TARGET == HWY_AVX3
  asm("vpdpwssd %2, %1, %0" : "+v"(sum.raw) : "v"(x.raw), "v"(w.raw));
#else
  sum = hn::Add(sum, IntVec{_mm256_madd_epi16(x.raw, w.raw)});
#endif
}

/// A few taps of a few pixels: channels from `channel` on.
struct TapsCall {
  const uint8_t* const* table = nullptr;  // tap t of pixel i at [t * kPixels + i]
  uint32_t taps = 0;
  const int16_t* weights = nullptr;  // of `channel`
  size_t weight_stride = 0;          // values from tap to tap
  uint32_t channel = 0;              // from where the table points to
  uint32_t count = 0;                // of channels
  const int32_t* start = nullptr;    // what sums begin as; null: as they are
  int32_t* sums = nullptr;           // pixel i at [i * kPanelChannels]
};

/// Requires: at most a vector's channels.
template <int kCount>
void AddTaps(const TapsCall& call) {
  const hn::Rebind<int16_t, IntTag> d16;
  IntVec sums[kCount];
  CORACLE_UNROLL for (int i = 0; i < kCount; ++i) {
    const int32_t* from = call.sums + static_cast<uint32_t>(i) * kPanelChannels;
    sums[i] = hn::Load(IntTag(), call.start == nullptr ? from : call.start);
  }
  const int16_t* weights = call.weights;
  const uint8_t* const* table = call.table;
  for (uint32_t t = 0; t < call.taps; ++t, table += kPixels, weights += call.weight_stride) {
    const IntVec w = hn::PromoteTo(IntTag(), hn::LoadU(d16, weights));
    CORACLE_UNROLL for (int i = 0; i < kCount; ++i) {
      const IntVec x = LoadBytes(table[i] + call.channel, call.count);
      AddShort(x, w, sums[i]);
    }
  }
  CORACLE_UNROLL for (int i = 0; i < kCount; ++i) {
    hn::Store(sums[i], IntTag(), call.sums + static_cast<uint32_t>(i) * kPanelChannels);
  }
}

/// By number of pixels, less one.
using TapsFunction = void (*)(const TapsCall&);
constexpr TapsFunction kAddTaps[kPixels] = {&AddTaps<1>, &AddTaps<2>, &AddTaps<3>, &AddTaps<4>};

/// The same for kPixels pixels, whole kernel rows of kKernel neighbouring taps, and as many whole
/// vectors as the count has: pixels kStride apart share what they read.
template <int kKernel, int kStride>
void AddSharedTaps(const TapsCall& call) {
  constexpr int kCount = static_cast<int>(kPixels);
  const hn::Rebind<int16_t, IntTag> d16;
  for (uint32_t n = 0; n + kTileLanes <= call.count; n += kTileLanes) {
    IntVec sums[kCount];
    CORACLE_UNROLL for (int i = 0; i < kCount; ++i) {
      sums[i] = hn::Load(IntTag(), call.start + n);
    }
    const int16_t* weights = call.weights + n;
    const uint8_t* const* table = call.table;
    const uint32_t channel = call.channel + n;
    for (uint32_t t = 0; t < call.taps; t += kKernel, table += kKernel * kCount) {
      IntVec w[kKernel];
      CORACLE_UNROLL for (int k = 0; k < kKernel; ++k, weights += call.weight_stride) {
        w[k] = hn::PromoteTo(IntTag(), hn::LoadU(d16, weights));
      }
      CORACLE_UNROLL for (int column = 0; column < (kCount - 1) * kStride + kKernel; ++column) {
        const int first = column < kKernel ? 0 : (column - kKernel) / kStride + 1;  // that reads it
        const uint8_t* from = table[(column - first * kStride) * kCount + first] + channel;
        const IntVec x = hn::PromoteTo(IntTag(), hn::LoadU(ByteTag(), from));
        CORACLE_UNROLL for (int i = 0; i < kCount; ++i) {
          const int k = column - i * kStride;
          if (k >= 0 && k < kKernel) AddShort(x, w[k], sums[i]);
        }
      }
    }
    CORACLE_UNROLL for (int i = 0; i < kCount; ++i) {
      hn::Store(sums[i], IntTag(), call.sums + static_cast<uint32_t>(i) * kPanelChannels + n);
    }
  }
}

/// Null if the window has none.
TapsFunction SharedTapsFor(const WindowAxis& axis) {
  if (axis.dilation != 1 || axis.stride > 2) return nullptr;
  if (axis.kernel == 3) return axis.stride == 1 ? &AddSharedTaps<3, 1> : &AddSharedTaps<3, 2>;
  if (axis.kernel == 5) return axis.stride == 1 ? &AddSharedTaps<5, 1> : &AddSharedTaps<5, 2>;
  return nullptr;
}

/// One chunk's channels of one image.
class DepthwiseDots {
 public:
  DepthwiseDots(const PanelArgs& args, const Image& image)
      : image_(image),
        text_(args.weights),
        vertical_(VerticalAxis(std::get<graph::Conv>(args.node->attrs).window)),
        horizontal_(HorizontalAxis(std::get<graph::Conv>(args.node->attrs).window)),
        taps_(vertical_.kernel * horizontal_.kernel),
        stride_(args.chunk->panel_count * kPanelGranule),
        first_(args.chunk->panel_begin * kPanelGranule),
        finish_(*args.graph, *args.node, image) {
    std::fill_n(outside_, kSliceChannels, finish_.in_zero());
    if (taps_ <= kTableTaps) shared_ = SharedTapsFor(horizontal_);
  }

  void Multiply(RowRange rows) {
    const uint32_t end = std::min(stride_, image_.output.channels - first_);
    for (uint32_t y = rows.begin; y < rows.end; ++y) {
      for (uint32_t x = 0; x < image_.output.pixels; x += kPixels) {
        const uint32_t pixels = std::min(kPixels, image_.output.pixels - x);
        for (uint32_t slice = 0; slice < end; slice += kSliceChannels) {
          if (taps_ <= kTableTaps) FillTable(y, x, pixels, 0, taps_, slice);
          const uint32_t slice_end = std::min(slice + kSliceChannels, end);
          for (uint32_t c = slice; c < slice_end; c += kPanelChannels) {
            MultiplyColumns(y, x, pixels, slice, c, std::min(kPanelChannels, slice_end - c));
          }
        }
      }
    }
  }

 private:
  /// Channels [c, c + count) of the chunk.
  void MultiplyColumns(uint32_t y, uint32_t x, uint32_t pixels, uint32_t slice, uint32_t c,
                       uint32_t count) {
    const auto* weights =
        reinterpret_cast<const int16_t*>(finish_.EnterColumns(text_, stride_, c, count)) + c;
    for (uint32_t tap = 0; tap < taps_; tap += kTableTaps) {
      const uint32_t taps = std::min(kTableTaps, taps_ - tap);
      if (taps_ > kTableTaps) FillTable(y, x, pixels, tap, taps, slice);
      TapsCall call{.table = table_,
                    .taps = taps,
                    .weights = weights + size_t{tap} * stride_,
                    .weight_stride = stride_,
                    .channel = c - slice,
                    .count = count,
                    .start = tap == 0 ? finish_.start() : nullptr,
                    .sums = sums_};
      uint32_t done = 0;
      if (shared_ != nullptr && pixels == kPixels) {
        shared_(call);
        done = count / kTileLanes * kTileLanes;
      }
      for (; done < count; done += kTileLanes) AddVector(call, pixels, done);
    }
    for (uint32_t i = 0; i < pixels; ++i) {
      int32_t* const sums = sums_ + size_t{i} * kPanelChannels;
      finish_.StoreRow(sums, finish_.PixelOf(image_.output, y, x + i, first_ + c), count);
    }
  }

  static void AddVector(TapsCall call, uint32_t pixels, uint32_t n) {
    call.weights += n;
    call.channel += n;
    call.count = std::min(kTileLanes, call.count - n);
    if (call.start != nullptr) call.start += n;
    call.sums += n;
    kAddTaps[pixels - 1](call);
  }

  void FillTable(uint32_t y, uint32_t x, uint32_t pixels, uint32_t first_tap, uint32_t taps,
                 uint32_t slice) {
    const Rows& in = image_.inputs[0];
    const uint8_t** out = table_;
    uint32_t ky = first_tap / horizontal_.kernel;
    uint32_t kx = first_tap % horizontal_.kernel;
    const int64_t in_x = horizontal_.Input(x, 0);
    // From the first tap of the first of kPixels pixels to the last of the last.
    const int64_t reach = int64_t{kPixels - 1} * horizontal_.stride +
                          int64_t{horizontal_.kernel - 1} * horizontal_.dilation;
    const ptrdiff_t pixel_step = in.pixel_stride * static_cast<ptrdiff_t>(horizontal_.stride);
    const ptrdiff_t tap_step = in.pixel_stride * static_cast<ptrdiff_t>(horizontal_.dilation);
    for (uint32_t left = taps; left > 0; ++ky, kx = 0) {
      const int64_t in_y = vertical_.Input(y, ky);
      const bool row_inside = in_y >= 0 && in_y < in.rows;
      const uint8_t* row =
          row_inside ? in.Row<uint8_t>(static_cast<uint32_t>(in_y)) + (first_ + slice) : nullptr;
      if (row_inside && in_x >= 0 && in_x + reach < int64_t{in.pixels}) {
        const uint8_t* tap = row + (in_x + int64_t{kx} * horizontal_.dilation) * in.pixel_stride;
        for (; kx < horizontal_.kernel && left > 0; ++kx, --left, out += kPixels) {
          for (ptrdiff_t i = 0; i < ptrdiff_t{kPixels}; ++i) out[i] = tap + i * pixel_step;
          tap += tap_step;
        }
        continue;
      }
      for (; kx < horizontal_.kernel && left > 0; ++kx, --left, out += kPixels) {
        int64_t at = in_x + int64_t{kx} * horizontal_.dilation;
        for (uint32_t i = 0; i < pixels; ++i, at += horizontal_.stride) {
          const bool inside = row_inside && at >= 0 && at < int64_t{in.pixels};
          out[i] = inside ? row + at * in.pixel_stride : outside_;
        }
      }
    }
  }

  const Image& image_;
  const std::byte* const text_;
  const WindowAxis vertical_, horizontal_;
  const uint32_t taps_;
  const uint32_t stride_;  // columns of the chunk
  const uint32_t first_;   // channel of the first
  DotFinish finish_;
  TapsFunction shared_ = nullptr;
  const uint8_t* table_[kTableTaps * kPixels];
  HWY_ALIGN int32_t sums_[kPixels * kPanelChannels];
  HWY_ALIGN uint8_t outside_[kSliceChannels];
};

void IntegerDepthwise(const PanelArgs& args, RowRange rows) {
  for (const Image& image : args.images) DepthwiseDots(args, image).Multiply(rows);
}

#endif

}  // namespace

PanelKernel IntegerDepthwiseForTarget() {
#if CORACLE_INTEGER_KERNELS
  return &IntegerDepthwise;
#else
  return &reference::IntegerDepthwise;
#endif
}

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace coracle::kernels {

PanelKernel SimdIntegerDepthwise(int64_t hwy_target) {
  CORACLE_CALL_FOR_TARGET(TargetWithDots(hwy_target), IntegerDepthwiseForTarget)
}

}  // namespace coracle::kernels
#endif
