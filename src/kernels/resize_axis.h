// Where one output coordinate of a Resize reads its input, in float arithmetic as ONNX Runtime
// does it (the coordinates decide which pixel a nearest resize takes, so they must round alike).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "graph/op.h"

namespace coracle::kernels {

/// Two input coordinates and their weights. Nearest: low == high, weights 1 and 0.
struct ResizeTap {
  uint32_t low = 0, high = 0;
  float low_weight = 1, high_weight = 0;
};

inline float ResizeCoordinate(graph::ResizeCoordinates kind, float scale, uint32_t in, uint32_t out,
                              uint32_t at) {
  const auto x = static_cast<float>(at);
  switch (kind) {
    case graph::ResizeCoordinates::kAsymmetric:
      return x / scale;
    case graph::ResizeCoordinates::kHalfPixel:
      return (x + 0.5F) / scale - 0.5F;
    case graph::ResizeCoordinates::kPytorchHalfPixel:
      return out > 1 ? (x + 0.5F) / scale - 0.5F : 0.0F;
    case graph::ResizeCoordinates::kAlignCorners:
      return out == 1 ? 0.0F : x * static_cast<float>(in - 1) / static_cast<float>(out - 1);
  }
  return 0;
}

inline float RoundNearest(graph::NearestRounding rounding, float x) {
  switch (rounding) {
    case graph::NearestRounding::kFloor:
      return std::floor(x);
    case graph::NearestRounding::kCeil:
      return std::ceil(x);
    case graph::NearestRounding::kRoundPreferFloor:
      return std::ceil(x - 0.5F);
    case graph::NearestRounding::kRoundPreferCeil:
      return std::floor(x + 0.5F);
  }
  return x;
}

inline ResizeTap TapOf(const graph::Resize& resize, float scale, uint32_t in, uint32_t out,
                       uint32_t at) {
  const float last = static_cast<float>(in - 1);
  const float x = ResizeCoordinate(resize.coordinates, scale, in, out, at);
  ResizeTap tap;
  if (resize.mode == graph::ResizeMode::kNearest) {
    tap.low = static_cast<uint32_t>(std::clamp(RoundNearest(resize.rounding, x), 0.0F, last));
    tap.high = tap.low;
    return tap;
  }
  const float clamped = std::clamp(x, 0.0F, last);
  tap.low = static_cast<uint32_t>(clamped);
  tap.high = std::min(tap.low + 1, in - 1);
  tap.high_weight = clamped - static_cast<float>(tap.low);
  tap.low_weight = 1 - tap.high_weight;
  return tap;
}

}  // namespace coracle::kernels
