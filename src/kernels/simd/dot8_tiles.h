// Tiles of bytes: which output pixels a register tile of integer sums computes, and where each
// pixel's window lies. What panels_tiles.h is for floats.
//
// Windows are read in place, a tap or a run of neighbouring taps at a time, all of them multiples
// of four bytes; or, where channels are not, copied into a patch, whole windows beside each other,
// so that no byte past a row is ever read.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/dot8.h"
#include "kernels/kernel.h"
#include "kernels/simd/panels_segments.h"

namespace coracle::kernels {

/// Up to kDotPixelsMax output pixels. `table[s * pixels + i]` is segment s of pixel i.
struct DotTile {
  const uint8_t* const* table;
  const uint32_t* lengths;  ///< by segment; multiples of kDot8Group
  uint32_t segment_count;
  uint32_t groups;            ///< of K, in all segments
  std::byte* const* outputs;  ///< by pixel, channel 0
  uint32_t first;             ///< pixels of the request before this tile's
  uint32_t pixels;
};

/// What to cut: a chunk's range of K of one part, for the output rows of the images.
struct DotRequest {
  std::span<const Image> images;
  RowRange rows;
  PanelPart part;
  uint32_t k_begin = 0, k_end = 0;
  uint32_t output_bytes = 1;  ///< of an output element
  uint32_t tile_pixels = 1;   ///< at most; tiles are of near-equal size
  uint32_t block_pixels = 1;  ///< end a block at about this many
  uint8_t in_zero = 0;        ///< what taps outside of the image read
  bool copies = false;        ///< Dot8Workspace::copies
  std::span<std::byte> patch;
};

/// Cuts the output pixels, in order, into blocks of tiles. Lives on the stack of the kernel (about
/// 28 KiB); a block's tables are valid until the next.
class DotTiles {
 public:
  explicit DotTiles(const DotRequest& request);
  DotTiles(const DotTiles&) = delete;
  DotTiles& operator=(const DotTiles&) = delete;

  /// The next tiles; empty at the end.
  std::span<const DotTile> Next();

 private:
  static constexpr uint32_t kBlockPixels = 96;
  static constexpr uint32_t kTablePointers = kDotPixelsMax * kTileSegmentsMax;

  void EnterRow();
  void FindRows(const SegmentList& list, const uint8_t** rows) const;
  bool TileInside(uint32_t pixels) const;
  void AddTile(uint32_t pixels);
  void AddOutputs(uint32_t count);
  void FillSegments(const SegmentList& list, const uint8_t* const* rows, uint32_t count,
                    const uint8_t** column, uint32_t pixels) const;
  const uint8_t* Patch(uint32_t x);
  const uint8_t* RunRow(uint32_t s) const;
  void CopyRun(const uint8_t* row, int64_t in_x, uint32_t begin, uint32_t length,
               uint8_t* to) const;

  DotRequest request_;
  SegmentList taps_, runs_;
  uint32_t patch_length_ = 0;  // of a copied window
  RowRange inside_x_;          // positions whose taps all lie inside of the row
  uint32_t row_pixels_ = 0;
  bool contiguous_ = false;  // neighbouring taps of a kernel row are neighbours in memory
  bool use_runs_ = false;    // inner tiles are made of runs
  // Tiles left, and their sizes.
  uint64_t tiles_left_ = 0, large_tiles_left_ = 0;
  uint32_t small_tile_ = 0;
  // The next pixel.
  uint32_t image_ = 0, row_ = 0, x_ = 0, next_ = 0;
  // The row that it is in.
  const Rows* input_ = nullptr;
  std::byte* output_row_ = nullptr;
  std::array<const uint8_t*, kTileSegmentsMax>
      tap_rows_;  // by segment (copied: kernel row); null outside of the image
  std::array<const uint8_t*, kTileSegmentsMax> run_rows_;
  // The block.
  uint32_t pixels_used_ = 0, table_used_ = 0, tiles_used_ = 0;
  std::array<DotTile, kBlockPixels> tiles_;
  std::array<std::byte*, kBlockPixels> outputs_;
  std::array<const uint8_t*, kTablePointers> table_;
  alignas(64) std::array<uint8_t, kDot8OutsideBytes> outside_;
};

}  // namespace coracle::kernels
