// One operand of a Binary, and how its elements are repeated over an output row.
#pragma once

#include "kernels/index_map.h"
#include "kernels/kernel.h"

namespace coracle::kernels {

class BroadcastOperand {
 public:
  /// An operand in the pool.
  BroadcastOperand(const Shape& out, const Shape& shape, const Rows& rows);
  /// A constant: all its elements in order. `channels` are its last dimension.
  BroadcastOperand(const Shape& out, const Shape& shape, const float* elements);

  /// Distance between the operand's elements for consecutive channels of the output: 0 or 1.
  size_t channel_step() const { return channel_step_; }
  /// The operand's channel 0 for output pixel (row, pixel).
  const float* Pixel(uint32_t row, uint32_t pixel) const;
  /// True if the pixels of an output row are pixel_step() floats apart.
  bool Regular() const { return same_ || one_; }
  ptrdiff_t pixel_step() const { return same_ ? rows_.pixel_stride : 0; }
  /// True if a whole output row reads it as one run: consecutive, or the same element again and
  /// again (then channel_step() is 0).
  bool WholeRow() const;

 private:
  BroadcastOperand(const Shape& out, const Shape& shape);
  uint64_t PixelNumber(uint32_t row, uint32_t pixel) const;

  const Shape& out_;
  const Shape& shape_;
  Rows rows_;
  uint64_t out_row_elements_ = 1;
  uint32_t out_channels_ = 1;
  uint32_t channels_ = 1;
  size_t channel_step_ = 1;
  bool same_ = true;  // has all the output's pixels
  bool one_ = true;   // has one pixel a row
};

}  // namespace coracle::kernels
