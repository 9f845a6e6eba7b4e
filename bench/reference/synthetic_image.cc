#include "synthetic_image.h"

#include <algorithm>
#include <cstddef>
#include <span>

namespace coracle::reference {
namespace {

/// Adds to `plane` random values on a grid of `cells` x `cells`, interpolated linearly.
void AddValueNoise(std::span<float> plane, int height, int width, int cells, float amplitude,
                   StableRandom& random) {
  const size_t corners = static_cast<size_t>(cells) + 1;
  std::vector<float> grid(corners * corners);
  for (float& value : grid) value = random.Uniform(-amplitude, amplitude);
  const auto corner = [&](int row, int column) {
    return grid[static_cast<size_t>(row) * corners + static_cast<size_t>(column)];
  };
  for (int y = 0; y < height; ++y) {
    const std::span<float> row_values = plane.subspan(
        static_cast<size_t>(y) * static_cast<size_t>(width), static_cast<size_t>(width));
    const float grid_y = static_cast<float>(y * cells) / static_cast<float>(height);
    const int row = static_cast<int>(grid_y);
    const float below = grid_y - static_cast<float>(row);
    for (int x = 0; x < width; ++x) {
      const float grid_x = static_cast<float>(x * cells) / static_cast<float>(width);
      const int column = static_cast<int>(grid_x);
      const float right = grid_x - static_cast<float>(column);
      const float top = corner(row, column) * (1 - right) + corner(row, column + 1) * right;
      const float bottom =
          corner(row + 1, column) * (1 - right) + corner(row + 1, column + 1) * right;
      row_values[static_cast<size_t>(x)] += top * (1 - below) + bottom * below;
    }
  }
}

}  // namespace

std::vector<float> MakeSyntheticImage(int channels, int height, int width, StableRandom& random) {
  const size_t plane_elements = static_cast<size_t>(height) * static_cast<size_t>(width);
  std::vector<float> image(static_cast<size_t>(channels) * plane_elements, 0.5F);
  for (int channel = 0; channel < channels; ++channel) {
    const std::span<float> plane =
        std::span(image).subspan(static_cast<size_t>(channel) * plane_elements, plane_elements);
    for (const int cells : {2, 5, 12, 30, 80}) {
      AddValueNoise(plane, height, width, cells, 0.4F, random);
    }
    for (float& value : plane) value = std::clamp(value, 0.0F, 1.0F);
    for (float& value : plane.subspan(plane_elements / 2)) value = random.Uniform(0.0F, 1.0F);
  }
  return image;
}

}  // namespace coracle::reference
