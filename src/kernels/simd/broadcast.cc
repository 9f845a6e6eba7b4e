#include "kernels/simd/broadcast.h"

namespace coracle::kernels {

BroadcastOperand::BroadcastOperand(const Shape& out, const Shape& shape)
    : out_(out), shape_(shape), out_row_elements_(graph::RowsOf(out).RowElements()) {
  out_channels_ = ChannelsOf(out);
  channels_ = ChannelsOf(shape);
  channel_step_ = channels_ == out_channels_ ? 1 : 0;
  for (uint32_t axis = 2; axis + 1 < out.rank(); ++axis) {
    const uint32_t from_end = out.rank() - 1 - axis;
    const uint32_t dim = from_end < shape.rank() ? shape.Back(from_end) : 1;
    same_ = same_ && dim == out[axis];
    one_ = one_ && dim == 1;
  }
}

BroadcastOperand::BroadcastOperand(const Shape& out, const Shape& shape, const Rows& rows)
    : BroadcastOperand(out, shape) {
  rows_ = rows;
}

BroadcastOperand::BroadcastOperand(const Shape& out, const Shape& shape, const float* elements)
    : BroadcastOperand(out, shape) {
  // One endless row of pixels: only read from.
  rows_.base = const_cast<float*>(elements);
  rows_.rows = 1;
  rows_.channels = channels_;
  rows_.pixels = static_cast<uint32_t>(shape.Elements() / channels_);
  rows_.pixel_stride = channels_;
}

uint64_t BroadcastOperand::PixelNumber(uint32_t row, uint32_t pixel) const {
  const uint64_t element = row * out_row_elements_ + uint64_t{pixel} * out_channels_;
  return BroadcastElement(out_, shape_, IndexOf(out_, element)) / channels_;
}

const float* BroadcastOperand::Pixel(uint32_t row, uint32_t pixel) const {
  return PixelAt(rows_, PixelNumber(row, pixel));
}

bool BroadcastOperand::WholeRow() const {
  return channel_step_ == 1 ? same_ && rows_.DenseRow() : one_;
}

}  // namespace coracle::kernels
