// The register tile of integer sums: a few output pixels times a group of a panel's columns.
// Included once per Highway target.
//
// AVX-512 VNNI: 6 pixels x 64 columns, 8 x 32 or 12 x 16. AVX2: 2 pixels x 16 columns; a
// lane of the accumulators sums two of every four bytes, so that a column has two lanes.

#if defined(CORACLE_KERNELS_SIMD_DOT8_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CORACLE_KERNELS_SIMD_DOT8_TILE_INL_H_
#undef CORACLE_KERNELS_SIMD_DOT8_TILE_INL_H_
#else
#define CORACLE_KERNELS_SIMD_DOT8_TILE_INL_H_
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "hwy/highway.h"
#include "kernels/dot8.h"
#include "kernels/simd/panels_tile.h"
#include "kernels/simd/requantize-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {

/// Sums of a tile, which begin as `start[n]`: `sums[i * kPanelChannels + n]` is pixel i, column n.
struct DotCall {
  const uint8_t* const* table = nullptr;  // segment s of pixel i at [s * pixels + i]
  const uint32_t* lengths = nullptr;
  uint32_t segment_count = 0;
  const int8_t* weights = nullptr;  // of the first column
  size_t weight_stride = 0;         // bytes from group to group of K
  const int32_t* start = nullptr;
  int32_t* sums = nullptr;
  const char* prefetch = nullptr;  // one prefetch per group
  ptrdiff_t prefetch_step = 0;
};
using DotFunction = void (*)(const DotCall&);

#if HWY_TARGET == HWY_AVX3
using DotVec = __m512i;
inline constexpr uint32_t kDotColumns = 16;  // of a vector of sums

HWY_INLINE DotVec DotStart(const int32_t* start) { return _mm512_load_si512(start); }
/// Four bytes of K of one pixel, for every column.
HWY_INLINE DotVec DotInput(const uint8_t* x) {
  int32_t four = 0;
  std::memcpy(&four, x, sizeof(four));
  return _mm512_set1_epi32(four);
}
HWY_INLINE DotVec DotWeights(const int8_t* w) { return _mm512_loadu_si512(w); }
/// Written out: the instruction is no part of this target, and sums would wander.
HWY_INLINE void AddDot(const DotVec& x, const DotVec& w, DotVec& sum) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
}
#elif HWY_TARGET == HWY_AVX2
using DotVec = __m256i;
inline constexpr uint32_t kDotColumns = 4;

/// Of every two lanes of a column, the first.
HWY_INLINE DotVec DotStart(const int32_t* start) {
  return _mm256_cvtepu32_epi64(_mm_load_si128(reinterpret_cast<const __m128i*>(start)));
}
HWY_INLINE DotVec DotInput(const uint8_t* x) {
  int32_t four = 0;
  std::memcpy(&four, x, sizeof(four));
  return _mm256_cvtepu8_epi16(_mm_set1_epi32(four));
}
HWY_INLINE DotVec DotWeights(const int8_t* w) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w)));
}
HWY_INLINE void AddDot(const DotVec& x, const DotVec& w, DotVec& sum) {
  sum = _mm256_add_epi32(sum, _mm256_madd_epi16(x, w));
}
#endif

#if CORACLE_INTEGER_KERNELS
/// Columns of 16, each of kVecs vectors.
template <int kPixels, int kVecs>
HWY_INLINE void StoreSums(const DotVec (&sums)[kPixels][kVecs], int32_t* to) {
  CORACLE_UNROLL for (int i = 0; i < kPixels; ++i) {
    int32_t* row = to + static_cast<uint32_t>(i) * kPanelChannels;
#if HWY_TARGET == HWY_AVX3
    CORACLE_UNROLL for (int j = 0; j < kVecs; ++j) _mm512_store_si512(row + 16 * j, sums[i][j]);
#else
    CORACLE_UNROLL for (int j = 0; j < kVecs; j += 2) {  // pairs of lanes, then columns in order
      const DotVec both = _mm256_hadd_epi32(sums[i][j], sums[i][j + 1]);
      _mm256_store_si256(reinterpret_cast<DotVec*>(row + 4 * j),
                         _mm256_permute4x64_epi64(both, 0xD8));
    }
#endif
  }
}

template <int kPixels, int kVecs>
HWY_NOINLINE void RunDotTile(const DotCall& call) {
  DotVec sums[kPixels][kVecs];
  CORACLE_UNROLL for (int i = 0; i < kPixels; ++i) {
    CORACLE_UNROLL for (int j = 0; j < kVecs; ++j) {
      sums[i][j] = DotStart(call.start + static_cast<uint32_t>(j) * kDotColumns);
    }
  }
  const int8_t* weights = call.weights;
  const size_t stride = call.weight_stride;
  const char* prefetch = call.prefetch;
  const ptrdiff_t prefetch_step = call.prefetch_step;
  const uint8_t* const* table = call.table;
  for (uint32_t s = 0; s < call.segment_count; ++s, table += kPixels) {
    const uint8_t* windows[kPixels];
    CORACLE_UNROLL for (int i = 0; i < kPixels; ++i) windows[i] = table[i];
    const size_t length = call.lengths[s];
    for (size_t k = 0; k < length; k += kDot8Group, weights += stride) {
      __builtin_prefetch(prefetch, 0, 2);
      prefetch += prefetch_step;
      DotVec columns[kVecs];
      CORACLE_UNROLL for (int j = 0; j < kVecs; ++j) {
        columns[j] = DotWeights(weights + static_cast<uint32_t>(j) * kDotColumns * kDot8Group);
      }
      CORACLE_UNROLL for (int i = 0; i < kPixels; ++i) {
        const DotVec x = DotInput(windows[i] + k);
        CORACLE_UNROLL for (int j = 0; j < kVecs; ++j) AddDot(x, columns[j], sums[i][j]);
      }
    }
  }
  StoreSums<kPixels, kVecs>(sums, call.sums);
}

template <int kVecs, size_t... kIndex>
const DotFunction* DotTilesOf(std::index_sequence<kIndex...>) {
  static constexpr DotFunction kFunctions[] = {&RunDotTile<static_cast<int>(kIndex) + 1, kVecs>...};
  return kFunctions;
}

/// A group of columns that a tile takes at a time.
struct DotShape {
  uint32_t columns;
  const DotFunction* tiles;  // by number of pixels, less one
};

/// Most pixels of a panel's tiles.
inline uint32_t DotTilePixels(uint32_t width) {
  if (kDotColumns < 16) return 2;
  return width == 64 ? 6 : width == 16 ? 12 : 8;
}

/// The columns that come next where `left` of a panel's are.
inline DotShape DotShapeFor(uint32_t left) {
  if constexpr (kDotColumns < 16) {
    return {16, DotTilesOf<4>(std::make_index_sequence<2>())};
  } else {
    if (left == 64) return {64, DotTilesOf<4>(std::make_index_sequence<6>())};
    if (left >= 32) return {32, DotTilesOf<2>(std::make_index_sequence<8>())};
    return {16, DotTilesOf<1>(std::make_index_sequence<12>())};
  }
}
#endif

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
