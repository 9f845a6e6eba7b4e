// The register tiles of a depthwise convolution. Included once per Highway target.

#if defined(CORACLE_KERNELS_SIMD_DEPTHWISE_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CORACLE_KERNELS_SIMD_DEPTHWISE_TILE_INL_H_
#undef CORACLE_KERNELS_SIMD_DEPTHWISE_TILE_INL_H_
#else
#define CORACLE_KERNELS_SIMD_DEPTHWISE_TILE_INL_H_
#endif

#include <cstddef>
#include <cstdint>
#include <utility>

#include "hwy/highway.h"
#include "kernels/simd/depthwise_tiles.h"
#include "kernels/simd/panels_finish-inl.h"
#include "kernels/simd/panels_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {

struct DepthwiseCall {
  const float* const* table = nullptr;  ///< DepthwiseTiles'; indexed by channels of the call
  uint32_t rows = 0;                    ///< kernel rows (kColumns) or taps (kTaps)
  const float* weights = nullptr;       ///< of channel 0
  size_t weight_stride = 0;             ///< floats from tap to tap
  const float* bias = nullptr;          ///< of channel 0; null: continue from the outputs
  ptrdiff_t channel = 0;                ///< channel 0 as the outputs count
  uint32_t table_begin = 0;             ///< channel 0 as the table counts
  uint32_t channels = 0;
  TileFinish finish = {};
};

template <int kSums>
HWY_INLINE void BeginSums(const DepthwiseCall& call, uint32_t c, uint32_t count,
                          FloatVec (&sums)[kSums][1]) {
  CORACLE_UNROLL for (int i = 0; i < kSums; ++i) {
    sums[i][0] = call.bias != nullptr ? hn::LoadU(FloatTag(), call.bias + c)
                                      : LoadUpTo(call.finish.outputs[i] + call.channel + c, count);
  }
}

/// Sums of one vector of channels. Tables of columns: neighbouring pixels share their inputs.
template <int kKernel, int kStride>
struct ColumnSums {
  static constexpr int kRows = 1;

  template <int kPixels>
  static HWY_INLINE void Add(const DepthwiseCall& call, uint32_t c, uint32_t count,
                             FloatVec (&sums)[kPixels][1]) {
    constexpr int kColumns = (kPixels - 1) * kStride + kKernel;
    const float* weights = call.weights + c;
    const float* const* table = call.table;
    const uint32_t at = call.table_begin + c;
    for (uint32_t ky = 0; ky < call.rows; ++ky, table += kColumns) {
      FloatVec taps[kKernel];
      CORACLE_UNROLL for (int kx = 0; kx < kKernel; ++kx) {
        taps[kx] = hn::LoadU(FloatTag(), weights);
        weights += call.weight_stride;
      }
      CORACLE_UNROLL for (int x = 0; x < kColumns; ++x) {
        const FloatVec input = LoadUpTo(table[x] + at, count);
        CORACLE_UNROLL for (int i = 0; i < kPixels; ++i) {
          const int kx = x - i * kStride;
          if (kx < 0 || kx >= kKernel) continue;
          AddProduct(input, taps[kx], sums[i][0]);
        }
      }
    }
  }
};

/// Tables of columns, and two output rows at a time: they share inputs, too.
template <int kKernel, int kStride>
struct PairSums {
  static constexpr int kRows = 2;

  template <int kPixels>
  static HWY_INLINE void Add(const DepthwiseCall& call, uint32_t c, uint32_t count,
                             FloatVec (&sums)[2 * kPixels][1]) {
    constexpr int kColumns = (kPixels - 1) * kStride + kKernel;
    constexpr int kHeld = kStride + 1;  // rows of taps between the upper row's and the lower's
    const float* weights = call.weights + c;
    const float* const* table = call.table;
    const uint32_t at = call.table_begin + c;
    FloatVec taps[kHeld][kKernel];
    CORACLE_UNROLL for (int y = 0; y < kKernel + kStride; ++y) {
      CORACLE_UNROLL for (int kx = 0; kx < kKernel; ++kx) {
        if (y >= kKernel) continue;
        taps[y % kHeld][kx] = hn::LoadU(FloatTag(), weights);
        weights += call.weight_stride;
      }
      CORACLE_UNROLL for (int x = 0; x < kColumns; ++x) {
        const FloatVec input = LoadUpTo(table[y * kColumns + x] + at, count);
        CORACLE_UNROLL for (int i = 0; i < kPixels; ++i) {
          const int kx = x - i * kStride;
          if (kx < 0 || kx >= kKernel) continue;
          if (y < kKernel) AddProduct(input, taps[y % kHeld][kx], sums[i][0]);
          if (y >= kStride) {
            AddProduct(input, taps[(y - kStride) % kHeld][kx], sums[kPixels + i][0]);
          }
        }
      }
    }
  }
};

/// The same for any window.
struct TapSums {
  static constexpr int kRows = 1;

  template <int kPixels>
  static HWY_INLINE void Add(const DepthwiseCall& call, uint32_t c, uint32_t count,
                             FloatVec (&sums)[kPixels][1]) {
    const float* weights = call.weights + c;
    const float* const* table = call.table;
    const uint32_t at = call.table_begin + c;
    for (uint32_t tap = 0; tap < call.rows; ++tap, table += kPixels) {
      const FloatVec weight = hn::LoadU(FloatTag(), weights);
      weights += call.weight_stride;
      CORACLE_UNROLL for (int i = 0; i < kPixels; ++i) {
        sums[i][0] = FusedMulAdd(LoadUpTo(table[i] + at, count), weight, sums[i][0]);
      }
    }
  }
};

template <class Sums, int kPixels>
HWY_NOINLINE void RunDepthwise(const DepthwiseCall& call) {
  constexpr int kSums = Sums::kRows * kPixels;
  TileFinish finish = call.finish;
  finish.last_count = kTileLanes;
  uint32_t c = 0;
  for (; c + kTileLanes <= call.channels; c += kTileLanes) {
    FloatVec sums[kSums][1];
    BeginSums<kSums>(call, c, kTileLanes, sums);
    Sums::template Add<kPixels>(call, c, kTileLanes, sums);
    FinishTile<kSums, 1>(finish, call.channel + c, sums);
  }
  if (kTileLanes == 1 || c == call.channels) return;
  finish.last_count = call.channels - c;
  FloatVec sums[kSums][1];
  BeginSums<kSums>(call, c, finish.last_count, sums);
  Sums::template Add<kPixels>(call, c, finish.last_count, sums);
  FinishTile<kSums, 1>(finish, call.channel + c, sums);
}

using DepthwiseFunction = void (*)(const DepthwiseCall&);
/// By number of pixels, less one.
using DepthwiseFunctions = const DepthwiseFunction*;

template <class Sums>
DepthwiseFunctions FunctionsOf() {
  static constexpr DepthwiseFunction kFunctions[kDepthwisePixelsMax] = {
      &RunDepthwise<Sums, 1>, &RunDepthwise<Sums, 2>, &RunDepthwise<Sums, 3>,
      &RunDepthwise<Sums, 4>};
  return kFunctions;
}

/// What a window is computed with.
struct DepthwiseMethod {
  DepthwiseTable table = DepthwiseTable::kTaps;
  DepthwiseFunctions rows[kDepthwiseRowsMax] = {};  ///< tiles of 1 row, of 2 (null: none)
};

inline DepthwiseMethod MethodFor(const graph::Window& w) {
  const uint32_t columns = (kDepthwisePixelsMax - 1) * w.stride_w + w.kernel_w;
  const bool narrow = w.kernel_w == 3 || w.kernel_w == 5;
  if (!narrow || w.dilation_w != 1 || w.stride_w > 2 ||
      (w.kernel_h + w.stride_h) * columns > kDepthwisePointersMax) {
    return {DepthwiseTable::kTaps, {FunctionsOf<TapSums>(), nullptr}};
  }
  DepthwiseMethod method{DepthwiseTable::kColumns, {}};
  if (w.kernel_w == 3) {
    method.rows[0] =
        w.stride_w == 1 ? FunctionsOf<ColumnSums<3, 1>>() : FunctionsOf<ColumnSums<3, 2>>();
  } else {
    method.rows[0] =
        w.stride_w == 1 ? FunctionsOf<ColumnSums<5, 1>>() : FunctionsOf<ColumnSums<5, 2>>();
  }
  const bool square = w.kernel_h == w.kernel_w && w.dilation_h == 1;
  if (square && w.stride_h == 1 && w.stride_w == 1) {
    if (w.kernel_w == 3) method.rows[1] = FunctionsOf<PairSums<3, 1>>();
    // 5 x 5 keeps 19 vectors.
    if constexpr (kTileLanes == 16) {
      if (w.kernel_w == 5) method.rows[1] = FunctionsOf<PairSums<5, 1>>();
    }
  }
  // 18 vectors.
  if constexpr (kTileLanes == 16) {
    if (square && w.stride_h == 2 && w.stride_w == 2 && w.kernel_w == 3) {
      method.rows[1] = FunctionsOf<PairSums<3, 2>>();
    }
  }
  return method;
}

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
