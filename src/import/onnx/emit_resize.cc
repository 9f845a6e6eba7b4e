// Resize and Upsample. Operator sets 7 (attribute), 9, 10 (scales second), 11 and later (scales
// third, sizes fourth).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "graph/verify.h"
#include "import/onnx/emit.h"
#include "import/onnx/window.h"

namespace coracle::import {

using graph::NearestRounding;
using graph::ResizeCoordinates;
using graph::ResizeMode;
using graph::TensorIndex;

namespace {

/// Before operator set 11 coordinates were always asymmetric, and nearest rounded down.
bool IsOldForm(const OnnxNode& node) {
  return node.proto().op_type() == "Upsample" || node.opset() < 11;
}

Status ReadMode(const OnnxNode& node, graph::Resize& resize) {
  TRY_ASSIGN(const std::string mode, node.String("mode", "nearest"));
  if (mode == "linear" || mode == "bilinear") {
    resize.mode = ResizeMode::kLinear;
  } else if (mode != "nearest") {
    return node.Unsupported("its mode is neither nearest nor linear");
  }
  return {};
}

Status ReadCoordinates(const OnnxNode& node, graph::Resize& resize) {
  if (IsOldForm(node)) return {};
  TRY_ASSIGN(const std::string mode, node.String("coordinate_transformation_mode", "half_pixel"));
  if (mode == "half_pixel") {
    resize.coordinates = ResizeCoordinates::kHalfPixel;
  } else if (mode == "pytorch_half_pixel") {
    resize.coordinates = ResizeCoordinates::kPytorchHalfPixel;
  } else if (mode == "align_corners") {
    resize.coordinates = ResizeCoordinates::kAlignCorners;
  } else if (mode != "asymmetric") {
    return node.Unsupported(
        "its coordinate_transformation_mode is none of half_pixel, pytorch_half_pixel, "
        "align_corners, asymmetric");
  }
  TRY_ASSIGN(const std::string rounding, node.String("nearest_mode", "round_prefer_floor"));
  if (rounding == "round_prefer_floor") {
    resize.rounding = NearestRounding::kRoundPreferFloor;
  } else if (rounding == "round_prefer_ceil") {
    resize.rounding = NearestRounding::kRoundPreferCeil;
  } else if (rounding == "ceil") {
    resize.rounding = NearestRounding::kCeil;
  } else if (rounding != "floor") {
    return node.Unsupported(
        "its nearest_mode is none of round_prefer_floor, round_prefer_ceil, floor, ceil");
  }
  return {};
}

Status RefuseNewerForms(const OnnxNode& node) {
  TRY_ASSIGN(const int64_t antialias, node.Int("antialias", 0));
  TRY_ASSIGN(const std::string policy, node.String("keep_aspect_ratio_policy", "stretch"));
  if (antialias != 0 || policy != "stretch") {
    return node.Unsupported("antialias and keep_aspect_ratio_policy are not supported");
  }
  return {};
}

/// Output dimension and scale, per axis of the input.
struct ResizeTarget {
  std::vector<float> scales;
  Shape shape;
};

Result<std::vector<float>> ReadScales(const OnnxNode& node) {
  const size_t position = IsOldForm(node) ? 1 : 2;
  if (node.HasInput(position)) return node.Floats(position);
  const onnx::AttributeProto* attribute = node.Find("scales");
  if (attribute == nullptr) return std::vector<float>{};
  return std::vector<float>(attribute->floats().begin(), attribute->floats().end());
}

Status TargetFromSizes(const OnnxNode& node, const Shape& in, std::span<const uint32_t> axes,
                       ResizeTarget& target) {
  TRY_ASSIGN(const std::vector<int64_t> sizes, node.Integers(3));
  if (sizes.size() != axes.size()) return node.Malformed("needs a size per axis");
  for (size_t i = 0; i < axes.size(); ++i) {
    if (sizes[i] < 1 || sizes[i] > graph::kMaxDimension) {
      return node.Malformed(fmt::format("cannot resize to {}", sizes[i]));
    }
    target.shape.Set(axes[i], static_cast<uint32_t>(sizes[i]));
    target.scales[axes[i]] = static_cast<float>(sizes[i]) / static_cast<float>(in[axes[i]]);
  }
  return {};
}

Status TargetFromScales(const OnnxNode& node, const Shape& in, std::span<const uint32_t> axes,
                        std::span<const float> scales, ResizeTarget& target) {
  if (scales.size() != axes.size()) return node.Malformed("needs a scale per axis");
  for (size_t i = 0; i < axes.size(); ++i) {
    // In single precision, as onnxruntime: 1/3 of 3 is 1.
    const float out = std::floor(scales[i] * static_cast<float>(in[axes[i]]));
    if (!(out >= 1 && out <= static_cast<float>(graph::kMaxDimension))) {
      return node.Malformed(fmt::format("cannot resize by {}", scales[i]));
    }
    target.shape.Set(axes[i], static_cast<uint32_t>(out));
    target.scales[axes[i]] = scales[i];
  }
  return {};
}

Result<ResizeTarget> ReadTarget(const OnnxNode& node, const Shape& in) {
  ResizeTarget target{std::vector<float>(in.rank(), 1.0F), in};
  TRY_ASSIGN(const std::vector<int64_t> listed, node.Ints("axes"));
  std::vector<uint32_t> axes;
  for (const int64_t axis : listed) {
    TRY_ASSIGN(const uint32_t resolved, ResolveAxis(axis, in.rank(), node.Where()));
    axes.push_back(resolved);
  }
  for (uint32_t axis = 0; listed.empty() && axis < in.rank(); ++axis) axes.push_back(axis);
  TRY_ASSIGN(const std::vector<float> scales, ReadScales(node));
  const bool by_size = !IsOldForm(node) && node.HasInput(3) && scales.empty();
  if (by_size) {
    TRY(TargetFromSizes(node, in, axes, target));
  } else {
    TRY(TargetFromScales(node, in, axes, scales, target));
  }
  if (target.shape[0] != in[0] || target.shape[1] != in[1]) {
    return node.Unsupported("only the axes after N and C can be resized");
  }
  return target;
}

}  // namespace

EmitResult EmitResize(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  const Shape in = builder.shape(x);
  if (in.rank() != 3 && in.rank() != 4) {
    return node.Unsupported(
        fmt::format("its input is {}; only N,C,H,W and N,C,W are supported", in.ToString()));
  }
  graph::Resize resize;
  TRY(ReadMode(node, resize));
  TRY(ReadCoordinates(node, resize));
  TRY(RefuseNewerForms(node));
  TRY_ASSIGN(const ResizeTarget target, ReadTarget(node, in));
  resize.scale_w = target.scales.back();
  if (in.rank() == 4) resize.scale_h = target.scales[2];
  if (target.shape == in && resize.scale_h == 1 && resize.scale_w == 1) return x;
  TRY_ASSIGN(const TensorIndex image, builder.Reshape(node.name() + "/image", x, AsImage(in)));
  TRY_ASSIGN(const TensorIndex out,
             builder.Emit(node.name(),
                          {.attrs = resize, .inputs = {image}, .declared = AsImage(target.shape)}));
  return builder.Reshape(node.name() + "/row", out, target.shape);
}

}  // namespace coracle::import
