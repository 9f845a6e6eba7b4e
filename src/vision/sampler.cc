#include "vision/sampler.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace coracle::vision {
namespace {

Tap BilinearTap(const AxisResize& resize, uint32_t position) {
  const double ratio = static_cast<double>(resize.extent) / resize.resized;
  const double last = resize.extent - 1;
  const double source = std::clamp((position + 0.5) * ratio - 0.5, 0.0, last);
  const double floor = std::floor(source);
  const auto first = static_cast<uint32_t>(floor);
  const auto weight = static_cast<float>(source - floor);
  return {first, std::min(first + 1, resize.extent - 1), 1 - weight, weight};
}

Tap NearestTap(const AxisResize& resize, uint32_t position) {
  const uint64_t source =
      (2 * uint64_t{position} + 1) * resize.extent / (2 * uint64_t{resize.resized});
  const auto first = static_cast<uint32_t>(std::min<uint64_t>(source, resize.extent - 1));
  return {first, first, 1, 0};
}

/// In float, as darknet computes it, down to its last row, which keeps only its first tap.
Tap CornersTap(const AxisResize& resize, uint32_t position) {
  const uint32_t last = resize.extent - 1;
  const bool at_end = position == resize.resized - 1 || resize.extent == 1;
  if (resize.resized == 1 || (at_end && resize.axis == Axis::kColumns)) return {last, last, 1, 0};
  const float scale = static_cast<float>(last) / static_cast<float>(resize.resized - 1);
  const float source = static_cast<float>(position) * scale;
  const auto first = std::min(static_cast<uint32_t>(source), last);
  const float weight = source - static_cast<float>(first);
  if (at_end) return {first, first, 1 - weight, 0};
  return {first, std::min(first + 1, last), 1 - weight, weight};
}

}  // namespace

std::vector<Tap> MakeTaps(Interpolation interpolation, const AxisResize& resize) {
  CORACLE_CHECK(resize.extent > 0 && resize.resized > 0);
  CORACLE_CHECK(uint64_t{resize.skip} + resize.count <= resize.resized);
  std::vector<Tap> taps;
  taps.reserve(resize.count);
  for (uint32_t i = 0; i < resize.count; ++i) {
    const uint32_t position = resize.skip + i;
    Tap tap = interpolation == Interpolation::kBilinear  ? BilinearTap(resize, position)
              : interpolation == Interpolation::kNearest ? NearestTap(resize, position)
                                                         : CornersTap(resize, position);
    tap.first += resize.begin;
    tap.second += resize.begin;
    taps.push_back(tap);
  }
  return taps;
}

}  // namespace coracle::vision
