// Tiles of a Winograd convolution: where the inputs and outputs of each lie.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "kernels/kernel.h"

namespace coracle::kernels {

/// Most outputs of a tile, and most inputs.
inline constexpr uint32_t kWinogradOutputsMax = 16;
inline constexpr uint32_t kWinogradPixelsMax = 36;

/// By pixel of the tile, in rows: channel `channel_begin` of each. Pixels outside of the image are
/// zero.
struct WinogradInputs {
  std::array<const float*, kWinogradPixelsMax> pixels;
};

/// By pixel of the tile, in rows: channel 0 of each; null where there is none to write.
struct WinogradOutputPixels {
  std::array<float*, kWinogradOutputsMax> outputs;
  std::array<const float*, kWinogradOutputsMax> residuals;
};

/// The tiles, in order, that some output rows of all images touch.
class WinogradTiles {
 public:
  WinogradTiles(const PanelArgs& args, RowRange rows);

  uint32_t count() const { return count_; }
  /// Requires: the channels that are read from channel_begin on are kWinogradZeros at most.
  void Inputs(uint32_t tile, uint32_t channel_begin, WinogradInputs& inputs) const;
  void Outputs(uint32_t tile, WinogradOutputPixels& pixels) const;

 private:
  struct Place {
    const Image* image;
    uint32_t y, x;  // of the first output
  };
  Place At(uint32_t tile) const;

  std::span<const Image> images_;
  RowRange rows_;
  graph::Window window_;
  bool has_residual_;
  uint32_t side_;  // outputs along a tile's side
  uint32_t columns_, first_row_, tiles_of_image_, count_;
};

/// Floats that a pixel outside of the image has.
inline constexpr uint32_t kWinogradZeros = 128;

}  // namespace coracle::kernels
