// Tiles: which output pixels a register tile computes, and where each pixel's window lies.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/kernel.h"
#include "kernels/simd/panels_segments.h"

namespace coracle::kernels {

/// Up to kTilePixelsMax output pixels. `table[s * pixels + i]` is segment s of pixel i.
struct Tile {
  const float* const* table;
  const SegmentList* segments;
  float* const* outputs;
  const float* const* residuals;  ///< null if the node has none
  uint32_t pixels;
};

/// What to cut: a range of K of one part, for the output rows of all images.
struct TileRequest {
  std::span<const Image> images;
  RowRange rows;
  bool has_residual = false;
  PanelPart part;
  /// kTaps: every segment is one whole tap of at most kZeroPixelFloats, in place.
  SegmentKind kind = SegmentKind::kRuns;
  uint32_t k_begin = 0, k_end = 0;
  uint32_t tile_pixels = 1;   ///< at most; tiles are of near-equal size
  uint32_t block_pixels = 1;  ///< end a block at about this many
  std::span<std::byte> workspace;
};

/// Cuts the output pixels of a part, in order, into blocks of tiles. Lives on the stack of the
/// kernel (about 16 KiB); a block's tables are valid until the next.
class TileBlocks {
 public:
  explicit TileBlocks(const TileRequest& request);

  /// K rows [k_begin, k_end()) are in the tables; the rest needs another pass.
  uint32_t k_end() const { return taps_.k_end; }
  /// The next tiles; empty at the end.
  std::span<const Tile> Next();

 private:
  static constexpr uint32_t kBlockPixels = 192;
  static constexpr uint32_t kTablePointers = 1152;

  void EnterRow();
  bool TileInside(uint32_t pixels) const;
  void AddTile(uint32_t pixels);
  void AddInnerTile(const SegmentList& list, uint32_t pixels);
  void AddOutputs(uint32_t count);
  void AddSpan(const SegmentList& list, uint32_t count, const float** column, uint32_t pixels);
  void AddWindows(const SegmentList& list, uint32_t count, const float** column, uint32_t pixels);
  void FillInside(const SegmentList& list, uint32_t count, const float** column,
                  uint32_t pixels) const;
  void FillTaps(const SegmentList& list, uint32_t x, const float** column, uint32_t pixels);
  void FillPatches(const SegmentList& list, uint32_t x, const float** column, uint32_t pixels);
  const float* Patch(const SegmentList& list, uint32_t segment, uint32_t x);

  TileRequest request_;
  SegmentList taps_, runs_;
  RowRange row_positions_;
  RowRange inside_x_;  // positions whose taps all lie inside of the row
  uint32_t row_pixels_ = 0;
  bool patches_ = false;     // every tile is made of runs, copied where they are not contiguous
  bool contiguous_ = false;  // neighbouring taps of a kernel row are neighbours in memory
  bool use_runs_ = false;    // inner tiles are made of runs
  // Tiles left, and their sizes.
  uint64_t tiles_left_ = 0, large_tiles_left_ = 0;
  uint32_t small_tile_ = 0;
  // The next pixel.
  uint32_t image_ = 0, row_ = 0, x_ = 0;
  // The row that it is in.
  const Rows* input_ = nullptr;
  float* output_row_ = nullptr;
  const float* residual_row_ = nullptr;
  std::array<const float*, kTileSegmentsMax> tap_rows_;  // by segment; null outside of the image
  std::array<const float*, kTileSegmentsMax> run_rows_;
  // The block.
  uint32_t pixels_used_ = 0, table_used_ = 0, tiles_used_ = 0;
  size_t patch_used_ = 0;
  std::array<Tile, kBlockPixels> tiles_;
  std::array<float*, kBlockPixels> outputs_;
  std::array<const float*, kBlockPixels> residuals_;
  std::array<const float*, kTablePointers> table_;
};

}  // namespace coracle::kernels
