// Sampler: how one axis of an image is resized. Two source pixels and their weights for each
// output.
#pragma once

#include <cstdint>
#include <vector>

namespace coracle::vision {

enum class Interpolation : uint8_t {
  kBilinear,  ///< half-pixel centres, edge pixels repeated (as OpenCV, ONNX and TensorFlow 2)
  kNearest,   ///< floor((x + 0.5) * in / out)
  kCorners,   ///< darknet's resize_image (src/image.c): first on first pixel, last on last
};

/// Whether an axis runs along a row or across rows: darknet treats its last element differently.
enum class Axis : uint8_t { kColumns, kRows };

struct Tap {
  uint32_t first = 0;  ///< source pixels
  uint32_t second = 0;
  float first_weight = 1;
  float second_weight = 0;
};

/// Pixels [begin, begin + extent) of the source, resized to `resized` pixels, of which those from
/// `skip` on are wanted, `count` of them. Requires: extent, resized > 0; skip + count <= resized.
struct AxisResize {
  Axis axis = Axis::kColumns;
  uint32_t begin = 0;
  uint32_t extent = 1;
  uint32_t resized = 1;
  uint32_t skip = 0;
  uint32_t count = 1;
};

std::vector<Tap> MakeTaps(Interpolation interpolation, const AxisResize& resize);

}  // namespace coracle::vision
