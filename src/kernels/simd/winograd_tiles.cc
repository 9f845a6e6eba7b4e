#include "kernels/simd/winograd_tiles.h"

#include <variant>

#include "base/checked.h"
#include "kernels/winograd.h"

namespace coracle::kernels {
namespace {

alignas(64) constexpr float kZeros[kWinogradZeros] = {};

}  // namespace

WinogradTiles::WinogradTiles(const PanelArgs& args, RowRange rows)
    : images_(args.images),
      rows_(rows),
      window_(std::get<graph::Conv>(args.node->attrs).window),
      has_residual_(args.node->residual != graph::Residual::kNone),
      side_(WinogradOutputs(*args.node)) {
  const Rows& out = images_[0].output;
  columns_ = static_cast<uint32_t>(CeilDiv(out.pixels, side_));
  first_row_ = rows.begin / side_;
  const auto end_row = static_cast<uint32_t>(CeilDiv(rows.end, side_));
  tiles_of_image_ = (end_row - first_row_) * columns_;
  count_ = tiles_of_image_ * static_cast<uint32_t>(images_.size());
}

WinogradTiles::Place WinogradTiles::At(uint32_t tile) const {
  const uint32_t in_image = tile % tiles_of_image_;
  return {&images_[tile / tiles_of_image_], (first_row_ + in_image / columns_) * side_,
          in_image % columns_ * side_};
}

void WinogradTiles::Inputs(uint32_t tile, uint32_t channel_begin, WinogradInputs& inputs) const {
  const Place place = At(tile);
  const Rows& in = place.image->inputs[0];
  const uint32_t side = side_ + 2;
  const int64_t top = int64_t{place.y} - window_.pad_top;
  const int64_t left = int64_t{place.x} - window_.pad_left;
  for (uint32_t y = 0; y < side; ++y) {
    const bool row_inside = top + y >= 0 && top + y < in.rows;
    const float* row = row_inside ? in.Row(static_cast<uint32_t>(top + y)) : nullptr;
    for (uint32_t x = 0; x < side; ++x) {
      const bool inside = row_inside && left + x >= 0 && left + x < in.pixels;
      inputs.pixels[y * side + x] =
          inside ? row + (left + x) * in.pixel_stride + channel_begin : kZeros;
    }
  }
}

void WinogradTiles::Outputs(uint32_t tile, WinogradOutputPixels& pixels) const {
  const Place place = At(tile);
  const Rows& out = place.image->output;
  for (uint32_t y = 0; y < side_; ++y) {
    const uint32_t out_y = place.y + y;
    const bool row_inside = out_y >= rows_.begin && out_y < rows_.end;
    for (uint32_t x = 0; x < side_; ++x) {
      const uint32_t out_x = place.x + x;
      const bool inside = row_inside && out_x < out.pixels;
      const uint32_t pixel = y * side_ + x;
      pixels.outputs[pixel] = inside ? out.Pixel(out_y, out_x) : nullptr;
      pixels.residuals[pixel] =
          inside && has_residual_ ? place.image->inputs.back().Pixel(out_y, out_x) : nullptr;
    }
  }
}

}  // namespace coracle::kernels
