// Which element of which input an element of the output is a copy of, for the operators that only
// move elements; and how elements of any rank are found through Rows.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "graph/graph.h"
#include "kernels/rows.h"

namespace coracle::kernels {

/// One element's place along each axis.
using Index = std::array<uint32_t, kMaxRank>;

Index IndexOf(const Shape& shape, uint64_t element);
uint64_t ElementOf(const Shape& shape, const Index& index);

/// Elements of one pixel: the last dimension (1 for a scalar).
inline uint32_t ChannelsOf(const Shape& shape) { return shape.rank() == 0 ? 1 : shape.Back(0); }

/// The pixel with this row-major number over all axes but the last.
inline float* PixelAt(const Rows& rows, uint64_t pixel) {
  return rows.Pixel(static_cast<uint32_t>(pixel / rows.pixels),
                    static_cast<uint32_t>(pixel % rows.pixels));
}
/// The element with this row-major number.
inline float* ElementAt(const Rows& rows, uint64_t element) {
  return PixelAt(rows, element / rows.channels) + element % rows.channels;
}

/// What lies `elements` elements behind the first one of row y, of any type.
inline std::byte* BytesAt(const Rows& rows, uint32_t y, ptrdiff_t elements) {
  const auto slot = static_cast<ptrdiff_t>(rows.ring_rows == 0 ? y : y % rows.ring_rows);
  return static_cast<std::byte*>(rows.base) +
         (slot * rows.row_stride + elements) * static_cast<ptrdiff_t>(rows.element_bytes);
}
/// As ElementAt, of any type.
inline std::byte* BytesOfElement(const Rows& rows, uint64_t element) {
  const uint64_t pixel = element / rows.channels;
  return BytesAt(rows, static_cast<uint32_t>(pixel / rows.pixels),
                 static_cast<ptrdiff_t>(pixel % rows.pixels) * rows.pixel_stride +
                     static_cast<ptrdiff_t>(element % rows.channels));
}
/// One element of a movement operator's type, float32 or uint8.
inline void CopyElement(std::byte* to, const std::byte* from, uint32_t element_bytes) {
  if (element_bytes == 1) {
    *to = *from;
  } else {
    std::memcpy(to, from, sizeof(float));
  }
}

/// Where an output element comes from.
struct ElementSource {
  uint32_t operand = 0;
  bool inside = true;  ///< false: Pad's value
  Index index{};
};

/// Requires: Concat, Slice, Transpose, Reshape, Pad or Reorg.
ElementSource SourceOf(const graph::Graph& graph, const graph::Node& node, const Index& out);

/// Pad's source along one axis; negative if it is the pad value.
int64_t PadSource(graph::PadMode mode, uint32_t before, uint32_t dim, uint32_t out);

/// What constant pads of a uint8 tensor hold: the value itself, saturated.
inline uint8_t PadByte(const graph::Pad& pad) {
  return static_cast<uint8_t>(std::min(255.0F, std::max(0.0F, pad.value)));
}

/// The operand element that numpy broadcasting gives to output element `out`. Requires: `operand`
/// broadcasts to `out_shape`.
uint64_t BroadcastElement(const Shape& out_shape, const Shape& operand, const Index& out);

}  // namespace coracle::kernels
