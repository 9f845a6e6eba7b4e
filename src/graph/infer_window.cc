// Shape rules of the operators over H and W.
#include <fmt/format.h>

#include <cmath>

#include "base/checked.h"
#include "graph/infer_rules.h"
#include "graph/verify.h"

namespace coracle::graph {
namespace {

/// One axis of a Window.
struct Extent {
  uint32_t kernel, stride, dilation, pad_begin, pad_end;
  uint64_t Reach() const { return uint64_t{kernel - 1} * dilation + 1; }
};

Extent Vertical(const Window& w) {
  return {w.kernel_h, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom};
}
Extent Horizontal(const Window& w) {
  return {w.kernel_w, w.stride_w, w.dilation_w, w.pad_left, w.pad_right};
}

Status CheckExtent(const ShapeCall& call, const Extent& e) {
  const bool zero = e.kernel == 0 || e.stride == 0 || e.dilation == 0;
  const bool large = e.kernel > kMaxKernel || e.stride > kMaxKernel || e.dilation > kMaxKernel ||
                     e.pad_begin > kMaxKernel || e.pad_end > kMaxKernel;
  if (zero || large) {
    return ShapeError(
        call, fmt::format("kernel {} stride {} dilation {} pads {},{} must lie "
                          "between 1 (pads: 0) and {}",
                          e.kernel, e.stride, e.dilation, e.pad_begin, e.pad_end, kMaxKernel));
  }
  return {};
}

Status CheckImage(const ShapeCall& call) {
  if (call.input().rank() != 4) {
    return ShapeError(call, "needs an input of rank 4, has " + call.input().ToString());
  }
  return {};
}

Status CheckGroups(const ShapeCall& call, uint32_t groups, uint32_t out_channels) {
  const uint32_t in_channels = call.input()[call.ChannelAxis()];
  if (groups == 0 || out_channels == 0 || out_channels > kMaxDimension ||
      in_channels % groups != 0 || out_channels % groups != 0) {
    return ShapeError(call, fmt::format("{} groups do not divide {} input and {} output channels",
                                        groups, in_channels, out_channels));
  }
  return {};
}

Result<uint32_t> CorrelationExtent(const ShapeCall& call, uint32_t in, const Extent& e) {
  TRY(CheckExtent(call, e));
  const uint64_t padded = uint64_t{in} + e.pad_begin + e.pad_end;
  if (padded < e.Reach()) {
    return ShapeError(call, fmt::format("its window of {} does not fit {} padded input rows or "
                                        "columns",
                                        e.Reach(), padded));
  }
  return static_cast<uint32_t>((padded - e.Reach()) / e.stride + 1);
}

/// Floor mode, or what ceil mode makes of it if that is what is declared.
Result<uint32_t> PoolExtent(const ShapeCall& call, uint32_t in, const Extent& e,
                            uint32_t declared) {
  TRY_ASSIGN(const uint32_t floor_mode, CorrelationExtent(call, in, e));
  if (e.pad_begin >= e.Reach() || e.pad_end >= e.Reach()) {
    return ShapeError(call, "its pads must be smaller than its kernel");
  }
  const bool partial_window = (uint64_t{in} + e.pad_begin + e.pad_end - e.Reach()) % e.stride != 0;
  const bool starts_inside = uint64_t{floor_mode} * e.stride < uint64_t{in} + e.pad_begin;
  if (partial_window && starts_inside && declared == floor_mode + 1) return declared;
  return floor_mode;
}

Result<uint32_t> TransposedExtent(const ShapeCall& call, uint32_t in, const Extent& e,
                                  uint32_t output_pad) {
  TRY(CheckExtent(call, e));
  if (output_pad > kMaxKernel) return ShapeError(call, "its output padding is too large");
  const uint64_t full = uint64_t{in - 1} * e.stride + e.Reach() + output_pad;
  const uint64_t cut = uint64_t{e.pad_begin} + e.pad_end;
  if (full <= cut || full - cut > kMaxDimension) {
    return ShapeError(call, fmt::format("pads {} leave nothing of, or too much of, {}", cut, full));
  }
  return static_cast<uint32_t>(full - cut);
}

Shape ImageShape(const ShapeCall& call, uint32_t channels, uint32_t height, uint32_t width) {
  Shape shape = call.input();
  shape.Set(call.ChannelAxis(), channels);
  shape.Set(call.HeightAxis(), height);
  shape.Set(call.WidthAxis(), width);
  return shape;
}

Status CheckResizeAxis(const ShapeCall& call, uint32_t in, uint32_t out, float scale) {
  if (!std::isfinite(scale) || scale <= 0) return ShapeError(call, "its scale must be positive");
  const double expected = static_cast<double>(in) * static_cast<double>(scale);
  if (std::abs(expected - out) > 1 + 1e-4 * expected) {
    return ShapeError(call, fmt::format("{} x {} does not give {}", in, scale, out));
  }
  return {};
}

}  // namespace

Result<Shape> InferConv(const Conv& attrs, const ShapeCall& call) {
  TRY(CheckImage(call));
  TRY(CheckGroups(call, attrs.groups, attrs.out_channels));
  const Shape& in = call.input();
  TRY_ASSIGN(const uint32_t height,
             CorrelationExtent(call, in[call.HeightAxis()], Vertical(attrs.window)));
  TRY_ASSIGN(const uint32_t width,
             CorrelationExtent(call, in[call.WidthAxis()], Horizontal(attrs.window)));
  return ImageShape(call, attrs.out_channels, height, width);
}

Result<Shape> InferConvTranspose(const ConvTranspose& attrs, const ShapeCall& call) {
  TRY(CheckImage(call));
  TRY(CheckGroups(call, attrs.groups, attrs.out_channels));
  const Shape& in = call.input();
  TRY_ASSIGN(const uint32_t height, TransposedExtent(call, in[call.HeightAxis()],
                                                     Vertical(attrs.window), attrs.output_pad_h));
  TRY_ASSIGN(const uint32_t width, TransposedExtent(call, in[call.WidthAxis()],
                                                    Horizontal(attrs.window), attrs.output_pad_w));
  return ImageShape(call, attrs.out_channels, height, width);
}

Result<Shape> InferPool(const Pool& attrs, const ShapeCall& call) {
  TRY(CheckImage(call));
  if (attrs.kind > PoolKind::kAverage || attrs.counting > PadCounting::kIncludePad) {
    return ShapeError(call, "its kind of pooling does not exist");
  }
  const Shape& in = call.input();
  const bool has_declared = call.declared.rank() == 4;
  const uint32_t declared_h = has_declared ? call.declared[call.HeightAxis()] : 0;
  const uint32_t declared_w = has_declared ? call.declared[call.WidthAxis()] : 0;
  TRY_ASSIGN(const uint32_t height,
             PoolExtent(call, in[call.HeightAxis()], Vertical(attrs.window), declared_h));
  TRY_ASSIGN(const uint32_t width,
             PoolExtent(call, in[call.WidthAxis()], Horizontal(attrs.window), declared_w));
  return ImageShape(call, in[call.ChannelAxis()], height, width);
}

Result<Shape> InferResize(const Resize& attrs, const ShapeCall& call) {
  TRY(CheckImage(call));
  const Shape& in = call.input();
  if (call.declared.rank() != 4) return ShapeError(call, "its output must have rank 4");
  if (attrs.mode > ResizeMode::kLinear || attrs.coordinates > ResizeCoordinates::kAlignCorners ||
      attrs.rounding > NearestRounding::kRoundPreferCeil) {
    return ShapeError(call, "its mode does not exist");
  }
  const uint32_t height = call.declared[call.HeightAxis()];
  const uint32_t width = call.declared[call.WidthAxis()];
  TRY(CheckResizeAxis(call, in[call.HeightAxis()], height, attrs.scale_h));
  TRY(CheckResizeAxis(call, in[call.WidthAxis()], width, attrs.scale_w));
  return ImageShape(call, in[call.ChannelAxis()], height, width);
}

Result<Shape> InferReorg(const Reorg& attrs, const ShapeCall& call) {
  TRY(CheckImage(call));
  const uint32_t s = attrs.stride;
  const uint32_t channels = call.input()[call.ChannelAxis()];
  const uint32_t height = call.input()[call.HeightAxis()];
  const uint32_t width = call.input()[call.WidthAxis()];
  if (s == 0 || s > kMaxKernel || height % s != 0 || width % s != 0 || channels % (s * s) != 0) {
    return ShapeError(call, fmt::format("stride {} must divide {} rows and {} columns, and its "
                                        "square {} channels",
                                        s, height, width, channels));
  }
  if (uint64_t{channels} * s * s > kMaxDimension) return ShapeError(call, "too many channels");
  return ImageShape(call, channels * s * s, height / s, width / s);
}

Result<Shape> InferDetectionHead(const DetectionHead& attrs, const ShapeCall& call) {
  TRY(CheckImage(call));
  const uint64_t expected = uint64_t{attrs.boxes} * (uint64_t{attrs.classes} + 5);
  const uint32_t channels = call.input()[call.ChannelAxis()];
  if (attrs.kind > DetectionHeadKind::kRegion || attrs.softmax > 1 || attrs.boxes == 0 ||
      attrs.boxes > kMaxDimension || expected != channels) {
    return ShapeError(call, fmt::format("{} boxes of 5 + {} values do not make {} channels",
                                        attrs.boxes, attrs.classes, channels));
  }
  return call.input();
}

}  // namespace coracle::graph
