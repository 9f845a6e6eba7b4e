// The register tile of products whose right side is packed first (MatMul, Attention). Included once
// per Highway target.

#if defined(CORACLE_KERNELS_SIMD_PRODUCT_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CORACLE_KERNELS_SIMD_PRODUCT_TILE_INL_H_
#undef CORACLE_KERNELS_SIMD_PRODUCT_TILE_INL_H_
#else
#define CORACLE_KERNELS_SIMD_PRODUCT_TILE_INL_H_
#endif

#include <array>
#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"
#include "kernels/simd/math-inl.h"
#include "kernels/simd/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {

/// Vectors of columns: what leaves registers for a row of B beside kProductRows times as many sums.
inline constexpr uint32_t kProductVecs = HWY_TARGET == HWY_AVX3 ? 4 : 2;
inline constexpr uint32_t kProductRows = 6;

/// c = scale (c + a b) + mask, for a few rows of a and c and a panel of b: whole vectors of
/// columns, row after row without gaps.
struct ProductTile {
  std::array<const float*, kProductRows> a{};
  std::array<float*, kProductRows> c{};
  std::array<float, kProductRows> scale{};
  std::array<const float*, kProductRows> mask{};  // null: none
  const float* b = nullptr;
  uint32_t depth = 0;
  size_t columns = 0;  // real ones
  bool first = true;   // c begins as zeros
};

HWY_INLINE FloatVec LoadProduct(const float* p, size_t column, size_t columns) {
  if (column + FloatLanes() <= columns) return hn::LoadU(FloatTag(), p + column);
  return column < columns ? LoadSome(p + column, columns - column) : Splat(0);
}
HWY_INLINE void StoreProduct(FloatVec v, float* p, size_t column, size_t columns) {
  if (column + FloatLanes() <= columns) return hn::StoreU(v, FloatTag(), p + column);
  if (column < columns) StoreSome(v, p + column, columns - column);
}

template <uint32_t kRows, uint32_t kVecs>
HWY_NOINLINE void MultiplyProduct(const ProductTile& tile) {
  const FloatTag d;
  const size_t lanes = FloatLanes();
  FloatVec sums[kRows][kVecs];
  for (uint32_t i = 0; i < kRows; ++i) {
    for (uint32_t j = 0; j < kVecs; ++j) {
      sums[i][j] = tile.first ? Splat(0) : LoadProduct(tile.c[i], j * lanes, tile.columns);
    }
  }
  const float* b = tile.b;
  for (uint32_t k = 0; k < tile.depth; ++k, b += kVecs * lanes) {
    FloatVec columns[kVecs];
    for (uint32_t j = 0; j < kVecs; ++j) columns[j] = hn::Load(d, b + j * lanes);
    for (uint32_t i = 0; i < kRows; ++i) {
      const FloatVec a = Splat(tile.a[i][k]);
      for (uint32_t j = 0; j < kVecs; ++j) sums[i][j] = hn::MulAdd(a, columns[j], sums[i][j]);
    }
  }
  for (uint32_t i = 0; i < kRows; ++i) {
    const FloatVec scale = Splat(tile.scale[i]);
    for (uint32_t j = 0; j < kVecs; ++j) {
      FloatVec c = hn::Mul(sums[i][j], scale);
      if (tile.mask[i] != nullptr) {
        c = hn::Add(c, LoadProduct(tile.mask[i], j * lanes, tile.columns));
      }
      StoreProduct(c, tile.c[i], j * lanes, tile.columns);
    }
  }
}

using ProductKernel = void (*)(const ProductTile&);

template <uint32_t kVecs>
ProductKernel ProductForVecs(uint32_t rows) {
  static constexpr ProductKernel kKernels[kProductRows] = {
      MultiplyProduct<1, kVecs>, MultiplyProduct<2, kVecs>, MultiplyProduct<3, kVecs>,
      MultiplyProduct<4, kVecs>, MultiplyProduct<5, kVecs>, MultiplyProduct<6, kVecs>};
  return kKernels[rows - 1];
}

/// The kernel for so many rows and vectors of columns: at most kProductRows, kProductVecs.
inline ProductKernel ProductFor(uint32_t rows, size_t vecs) {
  switch (vecs) {
    case 1:
      return ProductForVecs<1>(rows);
#if HWY_TARGET == HWY_AVX3
    case 2:
      return ProductForVecs<2>(rows);
    case 3:
      return ProductForVecs<3>(rows);
#endif
    default:
      return ProductForVecs<kProductVecs>(rows);
  }
}

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
