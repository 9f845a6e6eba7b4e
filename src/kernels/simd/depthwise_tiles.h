// Tiles of a depthwise convolution: a few neighbouring output pixels, and where their inputs are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/kernel.h"

namespace coracle::kernels {

/// Most neighbouring pixels of a tile, and most rows of them.
inline constexpr uint32_t kDepthwisePixelsMax = 4;
inline constexpr uint32_t kDepthwiseRowsMax = 2;
inline constexpr uint32_t kDepthwiseSumsMax = kDepthwisePixelsMax * kDepthwiseRowsMax;
/// Most pointers in one tile's table.
inline constexpr uint32_t kDepthwisePointersMax = 512;
/// Channels that share one zero pixel.
inline constexpr uint32_t kDepthwiseChannelsMax = 2048;

/// How a tile's table lists its inputs.
enum class DepthwiseTable : uint8_t {
  /// Per input row of the tile, the columns that its pixels share: (pixels - 1) stride + kernel.
  kColumns,
  /// Per tap, one pointer for each pixel. Tiles have one row.
  kTaps,
};

struct DepthwiseTile {
  const float* const* table;      ///< the first channel of the request
  float* const* outputs;          ///< channel 0; rows of `pixels`
  const float* const* residuals;  ///< likewise; null if the node has none
  uint32_t x;                     ///< of the first pixel
  uint32_t pixels;
  uint32_t rows;
};

struct DepthwiseRequest {
  std::span<const Image> images;
  RowRange rows;
  bool has_residual = false;
  graph::Window window;
  DepthwiseTable table = DepthwiseTable::kTaps;
  uint32_t tap_end = 0;  ///< kTaps: taps [0, tap_end), at most kDepthwisePointersMax / pixels_max
  uint32_t pixels_max = kDepthwisePixelsMax;
  uint32_t rows_max = 1;  ///< 2: pairs of rows; kColumns, with row dilation 1
  uint32_t channel_begin = 0, channel_count = 0;  ///< at most kDepthwiseChannelsMax
};

/// Cuts the output rows into strips of tiles, in order. Lives on the stack of the kernel (about 12
/// KiB); a strip is valid until the next.
class DepthwiseTiles {
 public:
  explicit DepthwiseTiles(const DepthwiseRequest& request);

  /// The next tiles, all in one row or pair of rows; empty at the end.
  std::span<const DepthwiseTile> Next();
  /// kTaps: replaces the table of a tile of the strip by that of other taps.
  void RefillTaps(uint32_t tap_begin, uint32_t tap_end, const DepthwiseTile& tile);

 private:
  static constexpr uint32_t kStripTiles = 32;
  static constexpr uint32_t kStripPointers = 1024;

  void AddTile(uint32_t pixels);
  void FillColumns(const DepthwiseTile& tile, const float** out) const;
  void FillTaps(const DepthwiseTile& tile, uint32_t tap_begin, uint32_t tap_end,
                const float** out) const;
  const float* InputRow(int64_t y) const;

  DepthwiseRequest request_;
  uint32_t image_ = 0, y_ = 0, x_ = 0;
  uint32_t strip_rows_ = 1, tiles_used_ = 0, table_used_ = 0;
  std::array<DepthwiseTile, kStripTiles> tiles_;
  std::array<float*, kStripTiles * kDepthwiseSumsMax> outputs_;
  std::array<const float*, kStripTiles * kDepthwiseSumsMax> residuals_;
  std::array<const float*, kStripPointers> table_;
};

}  // namespace coracle::kernels
