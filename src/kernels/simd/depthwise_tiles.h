// Tiles of a depthwise convolution: a few neighbouring output pixels, and where their inputs are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/kernel.h"

namespace coracle::kernels {

inline constexpr uint32_t kDepthwisePixelsMax = 4;
inline constexpr uint32_t kDepthwisePointersMax = 512;
/// Channels that share one zero pixel.
inline constexpr uint32_t kDepthwiseChannelsMax = 2048;

/// How a tile's table lists its inputs.
enum class DepthwiseTable : uint8_t {
  /// Per kernel row, the input columns that the pixels share: (pixels - 1) stride + kernel of them.
  kColumns,
  /// Per tap, one pointer for each pixel.
  kTaps,
};

struct DepthwiseTile {
  uint32_t pixels = 0;
  std::array<float*, kDepthwisePixelsMax> outputs;          ///< channel 0
  std::array<const float*, kDepthwisePixelsMax> residuals;  ///< channel 0
  std::array<const float*, kDepthwisePointersMax> table;    ///< the first channel of the request
};

struct DepthwiseRequest {
  std::span<const Image> images;
  RowRange rows;
  bool has_residual = false;
  graph::Window window;
  DepthwiseTable table = DepthwiseTable::kTaps;
  uint32_t tap_begin = 0, tap_end = 0;  ///< kTaps; at most kDepthwisePointersMax / pixels_max
  uint32_t pixels_max = kDepthwisePixelsMax;
  uint32_t channel_begin = 0, channel_count = 0;  ///< at most kDepthwiseChannelsMax
};

/// Cuts the output rows into tiles, in strips narrow enough for the rows of a window to stay in the
/// first-level cache.
class DepthwiseTiles {
 public:
  explicit DepthwiseTiles(const DepthwiseRequest& request);

  /// False at the end.
  bool Next(DepthwiseTile& tile);
  /// kTaps: the table of the tile that Next() gave last, for other taps.
  void RefillTaps(uint32_t tap_begin, uint32_t tap_end, DepthwiseTile& tile) const;

 private:
  bool Advance();
  void FillColumns(DepthwiseTile& tile) const;
  /// Kernel row `ky` of the current output row; null outside of the image.
  const float* TapRow(uint32_t ky) const;
  const float* TapPixel(const float* row, int64_t x) const;

  DepthwiseRequest request_;
  uint32_t strip_pixels_ = 0;
  uint32_t image_ = 0, strip_begin_ = 0, strip_end_ = 0, y_ = 0, x_ = 0;
};

}  // namespace coracle::kernels
