// The end of a tile's sums: residual, activation and store, in registers or through a stage.
// Included once per Highway target.

#if defined(CORACLE_KERNELS_SIMD_PANELS_FINISH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CORACLE_KERNELS_SIMD_PANELS_FINISH_INL_H_
#undef CORACLE_KERNELS_SIMD_PANELS_FINISH_INL_H_
#else
#define CORACLE_KERNELS_SIMD_PANELS_FINISH_INL_H_
#endif

#include <cstddef>
#include <cstring>
#include <limits>

#include "hwy/highway.h"
#include "kernels/simd/activation-inl.h"
#include "kernels/simd/panels_tile.h"
#include "kernels/simd/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {

inline constexpr uint32_t kTileLanes = static_cast<uint32_t>(hn::MaxLanes(FloatTag()));

/// `count` floats, at most a vector; zeros behind.
HWY_INLINE FloatVec LoadUpTo(const float* from, uint32_t count) {
  if constexpr (kTileLanes > 1) {
    if (count != kTileLanes) return LoadSome(from, count);
  }
  return hn::LoadU(FloatTag(), from);
}
HWY_INLINE void StoreUpTo(FloatVec v, float* to, uint32_t count) {
  if constexpr (kTileLanes > 1) {
    if (count != kTileLanes) return StoreSome(v, to, count);
  }
  hn::StoreU(v, FloatTag(), to);
}

/// Vector j of a row; the last may be partial.
template <int kVecs>
HWY_INLINE FloatVec LoadColumns(const float* row, int j, uint32_t last_count) {
  const float* from = row + static_cast<uint32_t>(j) * kTileLanes;
  if constexpr (kTileLanes > 1) {
    if (j == kVecs - 1 && last_count != kTileLanes) return LoadSome(from, last_count);
  }
  return hn::LoadU(FloatTag(), from);
}

template <int kVecs>
HWY_INLINE void StoreColumns(const FloatVec (&sums)[kVecs], float* row, uint32_t last_count) {
  CORACLE_UNROLL for (int j = 0; j < kVecs - 1; ++j) {
    hn::StoreU(sums[j], FloatTag(), row + static_cast<uint32_t>(j) * kTileLanes);
  }
  float* last = row + (kVecs - 1) * kTileLanes;
  if constexpr (kTileLanes == 16) {  // a masked store costs no more
    hn::BlendedStore(sums[kVecs - 1], hn::FirstN(FloatTag(), last_count), FloatTag(), last);
  } else if (kTileLanes == 1 || last_count == kTileLanes) {
    hn::StoreU(sums[kVecs - 1], FloatTag(), last);
  } else if constexpr (kTileLanes > 1) {
    StoreSome(sums[kVecs - 1], last, last_count);
  }
}

template <int kPixels, int kVecs>
HWY_INLINE void AddResidual(const TileFinish& finish, ptrdiff_t channel,
                            FloatVec (&sums)[kPixels][kVecs]) {
  CORACLE_UNROLL for (int i = 0; i < kPixels; ++i) {
    const float* row = finish.residuals[i] + channel;
    CORACLE_UNROLL for (int j = 0; j < kVecs; ++j) {
      sums[i][j] = hn::Add(sums[i][j], LoadColumns<kVecs>(row, j, finish.last_count));
    }
  }
}

template <ActivationKind kKind, int kPixels, int kVecs>
HWY_INLINE void ActivateSums(const TileFinish& finish, FloatVec (&sums)[kPixels][kVecs]) {
  const ActivationOp<kKind> op{Splat(finish.a), Splat(finish.b)};
  CORACLE_UNROLL for (int i = 0; i < kPixels; ++i) {
    CORACLE_UNROLL for (int j = 0; j < kVecs; ++j) sums[i][j] = op(FloatTag(), sums[i][j]);
  }
}

/// Ends the sums in registers and stores them from column `channel` on.
template <int kPixels, int kVecs>
HWY_INLINE void FinishTile(const TileFinish& finish, ptrdiff_t channel,
                           FloatVec (&sums)[kPixels][kVecs]) {
  if (finish.residual == graph::Residual::kBeforeActivation) AddResidual(finish, channel, sums);
  switch (finish.function) {
    case RegisterFinish::kStore:
      break;
    case RegisterFinish::kClamp:
      ActivateSums<ActivationKind::kClip>(finish, sums);
      break;
    case RegisterFinish::kLeakyRelu:
      ActivateSums<ActivationKind::kLeakyRelu>(finish, sums);
      break;
    case RegisterFinish::kHardSwish:
      ActivateSums<ActivationKind::kHardSwish>(finish, sums);
      break;
  }
  if (finish.residual == graph::Residual::kAfterActivation) AddResidual(finish, channel, sums);
  const uint32_t last_count = finish.last_count;
  float* const* outputs = finish.outputs;
  CORACLE_UNROLL for (int i = 0; i < kPixels; ++i) {
    StoreColumns<kVecs>(sums[i], outputs[i] + channel, last_count);
  }
}

/// Lets the tile end a complete sum; false if the activation needs a stage.
inline bool FinishInRegisters(const graph::Activation& activation, TileFinish& finish) {
  finish.a = activation.a;
  finish.b = activation.b;
  switch (activation.kind) {
    case ActivationKind::kNone:
      finish.function = RegisterFinish::kStore;
      return true;
    case ActivationKind::kRelu:  // min(max(x, 0), infinity) has the bits of max(x, 0)
      finish.function = RegisterFinish::kClamp;
      finish.a = 0;
      finish.b = std::numeric_limits<float>::infinity();
      return true;
    case ActivationKind::kClip:
      finish.function = RegisterFinish::kClamp;
      return true;
    case ActivationKind::kLeakyRelu:
      finish.function = RegisterFinish::kLeakyRelu;
      return true;
    case ActivationKind::kHardSwish:
      finish.function = RegisterFinish::kHardSwish;
      return true;
    default:
      return false;
  }
}

/// Columns [channel, channel + columns) of a few pixels, on their way through a stage of `stride`
/// floats a pixel.
struct StagedTile {
  const TileFinish* finish = nullptr;  // outputs and residuals
  float* stage = nullptr;
  size_t stride = 0;
  ptrdiff_t channel = 0;
  uint32_t pixels = 0, columns = 0;
};

/// Brings partial sums in.
inline void LoadStage(const StagedTile& tile) {
  for (uint32_t i = 0; i < tile.pixels; ++i) {
    std::memcpy(tile.stage + i * tile.stride, tile.finish->outputs[i] + tile.channel,
                tile.columns * sizeof(float));
  }
}

inline void AddRun(const float* from, float* to, size_t count) {
  size_t i = 0;
  for (; i + kTileLanes <= count; i += kTileLanes) {
    hn::StoreU(hn::Add(hn::LoadU(FloatTag(), to + i), hn::LoadU(FloatTag(), from + i)), FloatTag(),
               to + i);
  }
  for (; i < count; ++i) to[i] += from[i];
}

/// Ends the staged sums as `activation` says (null: partial sums) and stores them.
inline void StoreStage(const StagedTile& tile, const graph::Activation* activation) {
  const TileFinish& finish = *tile.finish;
  for (uint32_t i = 0; i < tile.pixels; ++i) {
    float* row = tile.stage + i * tile.stride;
    if (activation != nullptr) {
      const float* residual =
          finish.residuals == nullptr ? nullptr : finish.residuals[i] + tile.channel;
      if (finish.residual == graph::Residual::kBeforeActivation) {
        AddRun(residual, row, tile.columns);
      }
      ActivateRun(*activation, row, row, tile.columns);
      if (finish.residual == graph::Residual::kAfterActivation) {
        AddRun(residual, row, tile.columns);
      }
    }
    std::memcpy(finish.outputs[i] + tile.channel, row, tile.columns * sizeof(float));
  }
}

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
