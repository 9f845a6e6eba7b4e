#include "kernels/movement.h"

#include <algorithm>
#include <cstring>

#include "kernels/index_map.h"
#include "kernels/reference/reference.h"
#include "kernels/strided_copy.h"

namespace coracle::kernels {
namespace {

using graph::Graph;
using graph::Node;

/// A shape with at least the axes images, rows and channels (Rows then are its axes 0 and 1).
Shape AtLeastRank3(const Shape& shape) {
  Shape out;
  for (uint32_t rank = shape.rank(); rank < 3; ++rank) out.Append(1);
  for (uint32_t dim : shape.dims()) out.Append(dim);
  return out;
}

/// Elements between neighbours along each axis of `shape` (rank 3 or more) inside of a row.
struct RowStrides {
  std::array<ptrdiff_t, kMaxRank + 2> axis{};
};

RowStrides StridesOf(const Shape& shape, const Rows& rows) {
  RowStrides strides;
  strides.axis[shape.rank() - 1] = 1;
  ptrdiff_t stride = rows.pixel_stride;
  for (uint32_t axis = shape.rank() - 1; axis-- > 2;) {
    strides.axis[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

/// A box of the input and where it lies in the output: out[at + i] = in[start + i step].
struct BoxCopy {
  Shape in, out;  // rank 3 or more
  std::array<uint32_t, kMaxRank + 2> at{};
  std::array<uint32_t, kMaxRank + 2> count{};
  std::array<int64_t, kMaxRank + 2> start{};
  std::array<int64_t, kMaxRank + 2> step{};

  BoxCopy(const Shape& in_shape, const Shape& out_shape)
      : in(AtLeastRank3(in_shape)), out(AtLeastRank3(out_shape)) {
    step.fill(1);
    for (uint32_t axis = 0; axis < in.rank(); ++axis) count[axis] = std::min(in[axis], out[axis]);
  }
  /// Axes that AtLeastRank3 has put in front of the tensor's own.
  static uint32_t Added(const Shape& original) {
    return original.rank() < 3 ? 3 - original.rank() : 0;
  }
};

/// The part of the box that lies in the output rows.
void CopyBox(const BoxCopy& box, const Rows& in, const Rows& out, RowRange rows) {
  const RowStrides in_strides = StridesOf(box.in, in);
  const RowStrides out_strides = StridesOf(box.out, out);
  StridedCopy copy(out.element_bytes);
  ptrdiff_t in_offset = 0;
  ptrdiff_t out_offset = 0;
  for (uint32_t axis = 2; axis < box.in.rank(); ++axis) {
    const auto step = static_cast<ptrdiff_t>(box.step[axis]);
    in_offset += static_cast<ptrdiff_t>(box.start[axis]) * in_strides.axis[axis];
    out_offset += static_cast<ptrdiff_t>(box.at[axis]) * out_strides.axis[axis];
    copy.AddAxis(box.count[axis], out_strides.axis[axis], step * in_strides.axis[axis]);
  }
  for (uint32_t y = rows.begin; y < rows.end; ++y) {
    const int64_t i0 = int64_t{y / box.out[1]} - box.at[0];
    const int64_t i1 = int64_t{y % box.out[1]} - box.at[1];
    if (i0 < 0 || i0 >= box.count[0] || i1 < 0 || i1 >= box.count[1]) continue;
    const int64_t j0 = box.start[0] + i0 * box.step[0];
    const int64_t j1 = box.start[1] + i1 * box.step[1];
    const auto from = static_cast<uint32_t>(j0 * box.in[1] + j1);
    copy.Run(BytesAt(in, from, in_offset), BytesAt(out, y, out_offset));
  }
}

template <typename Element>
void FillRow(const Rows& out, uint32_t y, Element value) {
  for (uint32_t x = 0; x < out.pixels; ++x) {
    std::fill_n(out.Pixel<Element>(y, x), out.channels, value);
  }
}

/// Contiguous elements from element `at` of a row on.
uint64_t RunLength(const Rows& rows, uint64_t at) {
  const uint64_t unit = rows.DenseRow() ? uint64_t{rows.pixels} * rows.channels : rows.channels;
  return unit - at % unit;
}

}  // namespace

void MoveConcat(const RowArgs& args, RowRange rows) {
  const Graph& graph = *args.graph;
  const Node& node = *args.node;
  const Shape& out = graph.shape(node.output);
  const uint32_t axis = std::get<graph::Concat>(node.attrs).axis + BoxCopy::Added(out);
  for (const Image& image : args.images) {
    uint32_t at = 0;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      BoxCopy box(graph.shape(node.inputs[i]), out);
      box.at[axis] = at;
      CopyBox(box, image.inputs[i], image.output, rows);
      at += box.in[axis];
    }
  }
}

void MoveSlice(const RowArgs& args, RowRange rows) {
  const Graph& graph = *args.graph;
  const auto& slice = std::get<graph::Slice>(args.node->attrs);
  const Shape& out = graph.shape(args.node->output);
  BoxCopy box(graph.shape(args.node->inputs[0]), out);
  for (size_t axis = 0; axis < slice.starts.size(); ++axis) {
    box.start[axis + BoxCopy::Added(out)] = slice.starts[axis];
    box.step[axis + BoxCopy::Added(out)] = slice.steps[axis];
  }
  for (const Image& image : args.images) CopyBox(box, image.inputs[0], image.output, rows);
}

namespace {

/// Reflecting or repeating pads: an output row is an input row with its pixels, and channels,
/// moved.
class PadCopy {
 public:
  PadCopy(const Graph& graph, const Node& node)
      : mode_(std::get<graph::Pad>(node.attrs).mode),
        element_bytes_(DTypeBytes(graph.tensor(node.output).dtype)),
        in_(AtLeastRank3(graph.shape(node.inputs[0]))),
        out_(AtLeastRank3(graph.shape(node.output))) {
    const auto& pad = std::get<graph::Pad>(node.attrs);
    const uint32_t added = BoxCopy::Added(graph.shape(node.output));
    std::copy(pad.before.begin(), pad.before.end(), before_.begin() + added);
  }

  void CopyRow(const Rows& in, const Rows& out, uint32_t y) const {
    const auto from = Source(0, y / out_[1]) * in_[1] + Source(1, y % out_[1]);
    CopyPixels(2, PixelsOf(in, from), PixelsOf(out, y));
  }

 private:
  /// The pixels of a row from some pixel on.
  struct Pixels {
    std::byte* first = nullptr;
    ptrdiff_t stride = 0;  ///< bytes
    bool dense = false;
    Pixels From(uint64_t pixel) const {
      return {first + static_cast<ptrdiff_t>(pixel) * stride, stride, dense};
    }
  };

  Pixels PixelsOf(const Rows& rows, uint32_t y) const {
    return {BytesAt(rows, y, 0), rows.pixel_stride * element_bytes_, rows.DenseRow()};
  }
  uint32_t Source(uint32_t axis, uint32_t at) const {
    return static_cast<uint32_t>(PadSource(mode_, before_[axis], in_[axis], at));
  }
  uint32_t Channels() const { return out_.rank() - 1; }

  /// Pixels over axes [axis, Channels()).
  void CopyPixels(uint32_t axis, const Pixels& in, const Pixels& out) const {
    if (axis == Channels()) return CopyChannels(in.first, out.first);
    uint64_t in_step = 1;
    uint64_t out_step = 1;
    for (uint32_t inner = axis + 1; inner < Channels(); ++inner) {
      in_step *= in_[inner];
      out_step *= out_[inner];
    }
    const uint32_t begin = before_[axis];
    const uint32_t end = begin + in_[axis];
    const bool run =
        axis + 1 == Channels() && in.dense && out.dense && in_[Channels()] == out_[Channels()];
    if (run) {
      std::memcpy(out.From(begin).first, in.first,
                  size_t{in_[axis]} * in_[Channels()] * element_bytes_);
    }
    for (uint32_t at = 0; at < out_[axis]; ++at) {
      if (run && at == begin) at = end;
      if (at == out_[axis]) break;
      CopyPixels(axis + 1, in.From(Source(axis, at) * in_step), out.From(at * out_step));
    }
  }

  void CopyChannels(const std::byte* in, std::byte* out) const {
    const uint32_t count = in_[Channels()];
    if (out_[Channels()] == count) {
      std::memcpy(out, in, size_t{count} * element_bytes_);
      return;
    }
    for (uint32_t c = 0; c < out_[Channels()]; ++c, out += element_bytes_) {
      CopyElement(out, in + size_t{Source(Channels(), c)} * element_bytes_, element_bytes_);
    }
  }

  const graph::PadMode mode_;
  const uint32_t element_bytes_;
  const Shape in_, out_;  // rank 3 or more
  std::array<uint32_t, kMaxRank + 2> before_{};
};

}  // namespace

void MovePad(const RowArgs& args, RowRange rows) {
  const Graph& graph = *args.graph;
  const auto& pad = std::get<graph::Pad>(args.node->attrs);
  if (pad.mode != graph::PadMode::kConstant) {
    const PadCopy copy(graph, *args.node);
    for (const Image& image : args.images) {
      for (uint32_t y = rows.begin; y < rows.end; ++y) {
        copy.CopyRow(image.inputs[0], image.output, y);
      }
    }
    return;
  }
  const Shape& out = graph.shape(args.node->output);
  BoxCopy box(graph.shape(args.node->inputs[0]), out);
  for (size_t axis = 0; axis < pad.before.size(); ++axis) {
    box.at[axis + BoxCopy::Added(out)] = pad.before[axis];
  }
  for (const Image& image : args.images) {
    for (uint32_t y = rows.begin; y < rows.end; ++y) {
      if (image.output.element_bytes == 1) {
        FillRow(image.output, y, PadByte(pad));
      } else {
        FillRow(image.output, y, pad.value);
      }
    }
    CopyBox(box, image.inputs[0], image.output, rows);
  }
}

void MoveTranspose(const RowArgs& args, RowRange rows) {
  const Graph& graph = *args.graph;
  const auto& perm = std::get<graph::Transpose>(args.node->attrs).perm;
  const Shape& out_shape = graph.shape(args.node->output);
  const Shape out = AtLeastRank3(out_shape);
  const Shape in = AtLeastRank3(graph.shape(args.node->inputs[0]));
  const uint32_t added = BoxCopy::Added(out_shape);
  const auto source_axis = [&](uint32_t axis) {
    return axis < added ? axis : perm[axis - added] + added;
  };
  const bool keeps_rows = source_axis(0) == 0 && source_axis(1) == 1;
  for (const Image& image : args.images) {
    const Rows& from = image.inputs[0];
    if (from.ring_rows != 0 && from.ring_rows < from.rows && !keeps_rows) {
      RowArgs one = args;
      one.images = {&image, 1};
      reference::Move(one, rows);
      continue;
    }
    RowStrides in_strides = StridesOf(in, from);
    in_strides.axis[1] = from.row_stride;
    in_strides.axis[0] = from.row_stride * ptrdiff_t{in[1]};
    const RowStrides out_strides = StridesOf(out, image.output);
    // The input's stride along each axis of the output.
    std::array<ptrdiff_t, kMaxRank + 2> strides{};
    for (uint32_t axis = 0; axis < out.rank(); ++axis) {
      strides[axis] = in_strides.axis[source_axis(axis)];
    }
    StridedCopy copy(from.element_bytes);
    for (uint32_t axis = 2; axis < out.rank(); ++axis) {
      copy.AddAxis(out[axis], out_strides.axis[axis], strides[axis]);
    }
    for (uint32_t y = rows.begin; y < rows.end; ++y) {
      const ptrdiff_t offset =
          ptrdiff_t{y / out[1]} * strides[0] + ptrdiff_t{y % out[1]} * strides[1];
      copy.Run(keeps_rows ? BytesAt(from, y, 0) : BytesAt(from, 0, offset),
               BytesAt(image.output, y, 0));
    }
  }
}

void MoveReshape(const RowArgs& args, RowRange rows) {
  for (const Image& image : args.images) {
    const Rows& in = image.inputs[0];
    const Rows& out = image.output;
    const uint64_t row = uint64_t{out.pixels} * out.channels;
    const uint64_t in_row = uint64_t{in.pixels} * in.channels;
    const uint64_t end = rows.end * row;
    for (uint64_t e = rows.begin * row; e < end;) {
      const uint64_t count =
          std::min({RunLength(out, e % row), RunLength(in, e % in_row), end - e});
      std::memcpy(BytesOfElement(out, e), BytesOfElement(in, e), count * out.element_bytes);
      e += count;
    }
  }
}

namespace {

/// One output pixel of a Reorg. Where an output channel comes from (ReorgSource in index_map.cc) is
/// split so that nothing is divided in the inner loop: channel (offset squeezed + n) s^2 + rest,
/// 0 <= n < squeezed, comes from one pixel and channel n s^2 + plane of the input.
template <typename Element>
void ReorgPixel(const Rows& in, const Rows& out, uint32_t s, uint32_t y, uint32_t x) {
  const uint32_t blocks = s * s;
  const uint32_t squeezed = in.channels / blocks;
  const uint32_t plane = in.rows * in.pixels;
  Element* to = out.Pixel<Element>(y, x);
  for (uint32_t rest = 0; rest < blocks; ++rest) {
    const uint32_t flat = rest * out.rows * out.pixels + y * out.pixels + x;
    const uint32_t left = flat % in.pixels * s;
    const uint32_t top = flat / in.pixels * s;
    for (uint32_t offset = 0; offset < blocks; ++offset) {
      const uint32_t from = (top + offset / s) * in.pixels * s + left + offset % s;
      const Element* source =
          in.Pixel<Element>(from % plane / in.pixels, from % in.pixels) + from / plane;
      Element* target = to + size_t{offset} * squeezed * blocks + rest;
      for (uint32_t n = 0; n < squeezed; ++n) {
        target[size_t{n} * blocks] = source[size_t{n} * blocks];
      }
    }
  }
}

}  // namespace

void MoveReorg(const RowArgs& args, RowRange rows) {
  // 32-bit arithmetic: an image has fewer than 2^31 elements.
  const uint32_t s = std::get<graph::Reorg>(args.node->attrs).stride;
  for (const Image& image : args.images) {
    for (uint32_t y = rows.begin; y < rows.end; ++y) {
      for (uint32_t x = 0; x < image.output.pixels; ++x) {
        if (image.output.element_bytes == 1) {
          ReorgPixel<uint8_t>(image.inputs[0], image.output, s, y, x);
        } else {
          ReorgPixel<float>(image.inputs[0], image.output, s, y, x);
        }
      }
    }
  }
}

}  // namespace coracle::kernels
