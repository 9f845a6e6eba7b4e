#include "vision/preprocess.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/checked.h"

namespace coracle::vision {
namespace {

constexpr uint32_t kSideMax = 1 << 16;

struct Size {
  uint32_t width = 0;
  uint32_t height = 0;
};

/// One axis of the tensor: elements [canvas, canvas + resize.count) come from the image.
struct AxisPlan {
  AxisResize resize;
  uint32_t canvas = 0;
  double scale = 1;
  double offset = 0;
};

/// numerator * by / over, at least 1 and at most `most`.
uint32_t Scaled(uint32_t numerator, uint32_t by, uint32_t over, uint32_t most) {
  const uint64_t value = uint64_t{numerator} * by / over;
  return static_cast<uint32_t>(std::clamp<uint64_t>(value, 1, most));
}

AxisPlan WholeAxis(uint32_t extent, uint32_t resized) {
  AxisPlan plan;
  plan.resize = {.extent = extent, .resized = resized, .count = resized};
  plan.scale = static_cast<double>(resized) / extent;
  return plan;
}

/// The centred `crop` of `extent` pixels fills `target` elements.
AxisPlan CroppedAxis(uint32_t extent, uint32_t crop, uint32_t target) {
  AxisPlan plan = WholeAxis(crop, target);
  plan.resize.begin = (extent - crop) / 2;
  plan.offset = -plan.scale * plan.resize.begin;
  return plan;
}

/// All of the axis becomes `resized`, whose centre fills `target`. Requires: resized >= target.
AxisPlan CenteredAxis(uint32_t extent, uint32_t resized, uint32_t target) {
  AxisPlan plan = WholeAxis(extent, resized);
  plan.resize.skip = (resized - target) / 2;
  plan.resize.count = target;
  plan.offset = -static_cast<double>(plan.resize.skip);
  return plan;
}

/// All of the axis becomes `resized`, in the middle of `target`. The offset is darknet's
/// correct_yolo_boxes, which does not round (src/yolo_layer.c).
AxisPlan BoxedAxis(uint32_t extent, uint32_t resized, uint32_t target) {
  AxisPlan plan = WholeAxis(extent, resized);
  plan.canvas = (target - resized) / 2;
  plan.offset = (target - resized) / 2.0;
  return plan;
}

struct AxisPlans {
  AxisPlan x;
  AxisPlan y;
};

AxisPlans PlanCenterCrop(Size image, Size target) {
  const uint32_t width = Scaled(image.height, target.width, target.height, image.width);
  const uint32_t height = Scaled(image.width, target.height, target.width, image.height);
  return {CroppedAxis(image.width, width, target.width),
          CroppedAxis(image.height, height, target.height)};
}

AxisPlans PlanShortSide(Size image, Size target, uint32_t resize_short) {
  constexpr uint32_t most = std::numeric_limits<uint32_t>::max();
  Size resized{resize_short, resize_short};
  if (image.width < image.height) {
    resized.height = Scaled(image.height, resize_short, image.width, most);
  } else {
    resized.width = Scaled(image.width, resize_short, image.height, most);
  }
  return {CenteredAxis(image.width, resized.width, target.width),
          CenteredAxis(image.height, resized.height, target.height)};
}

/// darknet's letterbox_image, with its rounding (src/image.c).
AxisPlans PlanLetterbox(Size image, Size target) {
  Size resized = target;
  const float across = static_cast<float>(target.width) / static_cast<float>(image.width);
  const float down = static_cast<float>(target.height) / static_cast<float>(image.height);
  if (across < down) {
    resized.height = Scaled(image.height, target.width, image.width, target.height);
  } else {
    resized.width = Scaled(image.width, target.height, image.height, target.width);
  }
  return {BoxedAxis(image.width, resized.width, target.width),
          BoxedAxis(image.height, resized.height, target.height)};
}

/// PaddleOCR's resize_norm_img (tools/infer/predict_rec.py).
AxisPlans PlanFixedHeight(Size image, Size target) {
  const uint64_t width = CeilDiv(uint64_t{image.width} * target.height, image.height);
  const auto resized = static_cast<uint32_t>(std::min<uint64_t>(width, target.width));
  return {WholeAxis(image.width, resized), WholeAxis(image.height, target.height)};
}

AxisPlans PlanAxes(ResizeMode mode, uint32_t resize_short, Size image, Size target) {
  switch (mode) {
    case ResizeMode::kStretch:
      return {WholeAxis(image.width, target.width), WholeAxis(image.height, target.height)};
    case ResizeMode::kCenterCrop:
      return PlanCenterCrop(image, target);
    case ResizeMode::kShortSide:
      return PlanShortSide(image, target, resize_short);
    case ResizeMode::kLetterbox:
      return PlanLetterbox(image, target);
    case ResizeMode::kFixedHeight:
      return PlanFixedHeight(image, target);
  }
  CheckFailed(__FILE__, __LINE__, "known resize mode");
}

/// Makes rows of one channel of the tensor.
class RowMaker {
 public:
  RowMaker(const Image& image, Color color, double scale) : image_(image), color_(color) {
    for (uint32_t i = 0; i < level_.size(); ++i) level_[i] = static_cast<float>(i * scale);
  }

  /// out[i * stride] = the resized, normalised value of tap i.
  void Make(const Tap& row, std::span<const Tap> columns, uint32_t channel, float mean,
            float deviation, size_t stride, float* out) const {
    for (const Tap& column : columns) {
      const float value = row.first_weight * Across(row.first, column, channel) +
                          row.second_weight * Across(row.second, column, channel);
      *out = (value - mean) / deviation;
      out += stride;
    }
  }

 private:
  float Across(uint32_t y, const Tap& column, uint32_t channel) const {
    return column.first_weight * Level(image_.At(column.first, y), channel) +
           column.second_weight * Level(image_.At(column.second, y), channel);
  }
  float Level(const uint8_t* pixel, uint32_t channel) const {
    if (color_ == Color::kRgb) return level_[pixel[channel]];
    if (color_ == Color::kBgr) return level_[pixel[2 - channel]];
    return 0.299f * level_[pixel[0]] + 0.587f * level_[pixel[1]] + 0.114f * level_[pixel[2]];
  }

  const Image& image_;
  Color color_;
  std::array<float, 256> level_;
};

}  // namespace

Status Preprocess::CheckShape(std::span<const uint32_t> shape) const {
  if (none_) {
    return Error{Code::kInvalidArgument,
                 "this model was sealed without preprocessing, so it takes no image: give .npy or "
                 ".raw, or seal it with --preprocess"};
  }
  const size_t channel_axis = layout_ == Layout::kNchw ? 1 : 3;
  if (shape.size() != 4 || shape[0] != 1 || shape[channel_axis] != Channels()) {
    return Error{Code::kInvalidArgument,
                 fmt::format("preprocess: an image fills an input of {}; this one is {}",
                             layout_ == Layout::kNchw ? fmt::format("1,{},H,W", Channels())
                                                      : fmt::format("1,H,W,{}", Channels()),
                             fmt::join(shape, ","))};
  }
  const size_t first_side = layout_ == Layout::kNchw ? 2 : 1;
  const uint32_t height = shape[first_side];
  const uint32_t width = shape[first_side + 1];
  if (width == 0 || height == 0 || width > kSideMax || height > kSideMax) {
    return Error{Code::kInvalidArgument,
                 fmt::format("preprocess: an input of {}x{} pixels: 1 to {} "
                             "a side are filled",
                             width, height, kSideMax)};
  }
  if (resize_ == ResizeMode::kShortSide && resize_short_ < std::max(width, height)) {
    return Error{Code::kInvalidArgument,
                 fmt::format("preprocess: resize_short {} is less than the input's {}x{}",
                             resize_short_, width, height)};
  }
  return {};
}

Result<Geometry> Preprocess::Fill(const Image& image, std::span<const uint32_t> shape,
                                  const ElementSink& sink) const {
  TRY(CheckShape(shape));
  CORACLE_CHECK(image.width() > 0 && image.height() > 0);
  const bool planar = layout_ == Layout::kNchw;
  const Size target{planar ? shape[3] : shape[2], planar ? shape[2] : shape[1]};
  const Size source{image.width(), image.height()};
  AxisPlans plans = PlanAxes(resize_, resize_short_, source, target);
  plans.y.resize.axis = Axis::kRows;
  const auto columns = MakeTaps(interpolation_, plans.x.resize);
  const auto rows = MakeTaps(interpolation_, plans.y.resize);
  const RowMaker maker(image, color_, scale_);

  // Planar: one row of one channel a piece. Interleaved: one row of all channels.
  const uint32_t planes = planar ? Channels() : 1;
  const uint32_t stride = planar ? 1 : Channels();
  std::vector<float> row(size_t{target.width} * stride);
  for (uint32_t y = 0; y < target.height; ++y) {
    for (uint32_t plane = 0; plane < planes; ++plane) {
      std::ranges::fill(row, static_cast<float>(pad_value_));
      const bool inside = y >= plans.y.canvas && y - plans.y.canvas < rows.size();
      for (uint32_t lane = 0; inside && lane < stride; ++lane) {
        const uint32_t channel = plane + lane;
        maker.Make(rows[y - plans.y.canvas], columns, channel,
                   static_cast<float>(mean_.at(channel)), static_cast<float>(std_.at(channel)),
                   stride, row.data() + size_t{plans.x.canvas} * stride + lane);
      }
      sink((uint64_t{plane} * target.height + y) * row.size(), row);
    }
  }
  return Geometry{plans.x.scale, plans.y.scale,  plans.x.offset, plans.y.offset,
                  image.width(), image.height(), target.width,   target.height};
}

}  // namespace coracle::vision
