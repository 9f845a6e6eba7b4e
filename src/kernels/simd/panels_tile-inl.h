// The register tile: sums of a few output pixels times one panel's columns. Included once per
// Highway target.
//
// AVX-512: 6 pixels x 64 columns, or 8 x 48, 12 x 32, 12 x 16 where the panel is narrower: 24
// accumulators (12 for the last) are twice the latency of two FMA ports or more. Machines with 16
// registers take 6 x 16 and walk a panel in sub-panels of 16 columns.

#if defined(CORACLE_KERNELS_SIMD_PANELS_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CORACLE_KERNELS_SIMD_PANELS_TILE_INL_H_
#undef CORACLE_KERNELS_SIMD_PANELS_TILE_INL_H_
#else
#define CORACLE_KERNELS_SIMD_PANELS_TILE_INL_H_
#endif

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "hwy/highway.h"
#include "kernels/panel_workspace.h"
#include "kernels/simd/panels_finish-inl.h"
#include "kernels/simd/panels_tile.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {
/// Widest column group of one tile.
inline constexpr uint32_t kTileColumnsMax = kTileLanes == 16 ? 64 : 16;
inline constexpr uint32_t kTileVecsMax = kTileColumnsMax / kTileLanes;

/// Pixels of a tile whose rows are `vecs` vectors wide.
constexpr uint32_t TilePixels(uint32_t vecs) {
  if (kTileLanes == 1) return 2;
  if (kTileLanes < 16 || vecs == 4) return 6;
  return vecs == 3 ? 8 : 12;
}

static_assert(TilePixels(1) <= kTilePixelsMax);

/// a * b + c, rounded once on every target.
HWY_INLINE FloatVec FusedMulAdd(FloatVec a, FloatVec b, FloatVec c) {
#if HWY_NATIVE_FMA
  return hn::MulAdd(a, b, c);
#else
  const FloatTag d;
  HWY_ALIGN float x[kTileLanes];
  HWY_ALIGN float y[kTileLanes];
  HWY_ALIGN float z[kTileLanes];
  hn::Store(a, d, x);
  hn::Store(b, d, y);
  hn::Store(c, d, z);
  for (uint32_t i = 0; i < kTileLanes; ++i) z[i] = std::fma(x[i], y[i], z[i]);
  return hn::Load(d, z);
#endif
}

/// sum += x * y. Written out where GCC would let sums wander between registers, at a move each.
HWY_INLINE void AddProduct(const FloatVec& x, const FloatVec& y, FloatVec& sum) {
#if HWY_COMPILER_GCC_ACTUAL && (HWY_TARGET == HWY_AVX2 || HWY_TARGET <= HWY_AVX3)
  asm("vfmadd231ps %2, %1, %0" : "+v"(sum.raw) : "v"(x.raw), "v"(y.raw));
#else
  sum = FusedMulAdd(x, y, sum);
#endif
}

/// One row of K: every accumulator gets its product.
template <int kPixels, int kVecs>
HWY_INLINE void MultiplyRow(const float* const* windows, size_t k, const float* weights,
                            FloatVec (&sums)[kPixels][kVecs]) {
  const FloatTag d;
  FloatVec columns[kVecs];
  CORACLE_UNROLL for (int j = 0; j < kVecs; ++j) {
    columns[j] = hn::LoadU(d, weights + static_cast<uint32_t>(j) * kTileLanes);
  }
  CORACLE_UNROLL for (int i = 0; i < kPixels; ++i) {
    const FloatVec x = hn::Set(d, windows[i][k]);
    CORACLE_UNROLL for (int j = 0; j < kVecs; ++j) { AddProduct(x, columns[j], sums[i][j]); }
  }
}

template <int kPixels, int kVecs>
HWY_NOINLINE void RunTile(const TileCall& call) {
  // Constant where a tile takes whole panels.
  const size_t stride = kTileLanes == 16 ? size_t{kVecs} * kTileLanes : call.weight_stride;
  FloatVec sums[kPixels][kVecs];
  CORACLE_UNROLL for (int i = 0; i < kPixels; ++i) {
    const bool begins = call.bias != nullptr;
    const float* from = begins ? call.bias : call.finish.outputs[i] + call.channel;
    const uint32_t last_count = begins ? kTileLanes : call.finish.last_count;
    CORACLE_UNROLL for (int j = 0; j < kVecs; ++j) {
      sums[i][j] = LoadColumns<kVecs>(from, j, last_count);
    }
  }
  const float* weights = call.weights;
  const char* prefetch = call.prefetch;
  const ptrdiff_t prefetch_step = call.prefetch_step;
  const float* const* table = call.table;
  for (uint32_t s = 0; s < call.segment_count; ++s, table += kPixels) {
    const float* windows[kPixels];
    CORACLE_UNROLL for (int i = 0; i < kPixels; ++i) windows[i] = table[i];
    const size_t length = call.lengths[s];
    size_t k = 0;
    for (; k + 2 <= length; k += 2) {
      __builtin_prefetch(prefetch, 0, 2);
      prefetch += prefetch_step;
      MultiplyRow<kPixels, kVecs>(windows, k, weights, sums);
      MultiplyRow<kPixels, kVecs>(windows, k + 1, weights + stride, sums);
      weights += 2 * stride;
    }
    if (k < length) {
      MultiplyRow<kPixels, kVecs>(windows, k, weights, sums);
      weights += stride;
    }
  }
  FinishTile<kPixels, kVecs>(call.finish, call.channel, sums);
}

using TileFunction = void (*)(const TileCall&);
/// By number of pixels, less one.
using TileFunctions = const TileFunction*;

template <int kVecs, size_t... kIndex>
TileFunctions TilesOf(std::index_sequence<kIndex...>) {
  static constexpr TileFunction kFunctions[] = {&RunTile<static_cast<int>(kIndex) + 1, kVecs>...};
  return kFunctions;
}

/// The tiles of 1 to TilePixels(vecs) pixels. Requires: 0 < vecs <= kTileVecsMax, and on machines
/// that walk a panel in sub-panels, all of them.
inline TileFunctions TilesFor(uint32_t vecs) {
  if constexpr (kTileLanes < 16) {
    return TilesOf<kTileVecsMax>(std::make_index_sequence<TilePixels(kTileVecsMax)>());
  } else {
    switch (vecs) {
      case 1:
        return TilesOf<1>(std::make_index_sequence<TilePixels(1)>());
      case 2:
        return TilesOf<2>(std::make_index_sequence<TilePixels(2)>());
      case 3:
        return TilesOf<3>(std::make_index_sequence<TilePixels(3)>());
      default:
        return TilesOf<4>(std::make_index_sequence<TilePixels(4)>());
    }
  }
}

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
