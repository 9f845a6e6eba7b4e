// What the register tiles (panels_tile-inl.h, depthwise_tile-inl.h) are called with.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "graph/graph.h"
#include "kernels/kernel.h"

#if defined(__clang__)
#define CORACLE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define CORACLE_UNROLL _Pragma("GCC unroll 32")
#endif

namespace coracle::kernels {

/// What a tile can do to its sums before it stores them; everything else goes through a stage.
enum class RegisterFinish : uint8_t {
  kStore,
  kClamp,  ///< Relu and Clip
  kLeakyRelu,
  kHardSwish,
};

/// Where a tile's sums go and what they pass through.
struct TileFinish {
  float* const* outputs = nullptr;          ///< by pixel, channel 0
  const float* const* residuals = nullptr;  ///< by pixel, channel 0; null: none
  graph::Residual residual = graph::Residual::kNone;
  RegisterFinish function = RegisterFinish::kStore;
  float a = 0, b = 0;
  uint32_t last_count = 0;  ///< floats of each row's last vector: 1 to a whole one
};

struct TileCall {
  const float* const* table = nullptr;  ///< segment s of pixel i at [s * pixels + i]
  const uint32_t* lengths = nullptr;
  uint32_t segment_count = 0;
  const float* weights = nullptr;
  size_t weight_stride = 0;        ///< floats from K row to K row
  const float* bias = nullptr;     ///< null: continue from the outputs
  ptrdiff_t channel = 0;           ///< of the tile's first column
  const char* prefetch = nullptr;  ///< one prefetch per two K rows
  ptrdiff_t prefetch_step = 0;
  TileFinish finish = {};
};

/// Gives the tile its share of what is to be prefetched (`ahead` may be null): a line for each of
/// its `pairs` of K rows at most.
template <typename Call>
inline void AskAhead(Call& call, Prefetch* ahead, uint32_t pairs) {
  // With nothing to ask for, the tile asks for what it has.
  call.prefetch = reinterpret_cast<const char*>(call.weights);
  call.prefetch_step = 0;
  if (ahead == nullptr || pairs == 0) return;
  const ptrdiff_t left = ahead->end - ahead->next;
  if (left <= 0) return;
  call.prefetch = reinterpret_cast<const char*>(ahead->next);
  call.prefetch_step = std::min<ptrdiff_t>(64, left / pairs);
  ahead->next += call.prefetch_step < 64 ? left : call.prefetch_step * pairs;
}

}  // namespace coracle::kernels
