// Preprocess: how an image becomes the input tensor. Its canonical JSON is sealed with the model.
//
//   {"color":"RGB","resize":"center_crop","scale":1,"mean":[127.5,127.5,127.5],
//    "std":[127.5,127.5,127.5]}
//
// Steps: 1. crop and resize; 2. value = (pixel * scale - mean) / std for each channel in the
// tensor's order; 3. elements outside of the image are pad_value. Keys (only color and resize are
// required):
//   color          RGB | BGR | GRAY (0.299 R + 0.587 G + 0.114 B)
//   resize         stretch: to the tensor's size. center_crop: the largest centred rectangle of the
//                  tensor's aspect, then resized. short_side: resized so that the shorter side is
//                  resize_short, then its centre. letterbox: aspect kept, centred, padded.
//                  fixed_height: height resized, aspect kept, padded at the right; squeezed where
//                  it would be too wide.
//   resize_short   pixels; short_side only, required there
//   scale          1 by default
//   mean, std      one number for each channel; 0 and 1 by default
//   pad_value      0 by default, a value of the tensor (after step 2)
//   interpolation  bilinear (default) | nearest | corners (darknet's resize_image)
//   layout         NCHW (default) | NHWC
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "vision/image.h"
#include "vision/sampler.h"

namespace coracle::vision {

enum class Color : uint8_t { kRgb, kBgr, kGray };
enum class ResizeMode : uint8_t { kStretch, kCenterCrop, kShortSide, kLetterbox, kFixedHeight };
enum class Layout : uint8_t { kNchw, kNhwc };

/// From image pixels to the tensor's: tensor_x = image_x * scale_x + offset_x.
struct Geometry {
  double scale_x = 1;
  double scale_y = 1;
  double offset_x = 0;
  double offset_y = 0;
  uint32_t image_width = 0;
  uint32_t image_height = 0;
  uint32_t tensor_width = 0;
  uint32_t tensor_height = 0;

  double ToImageX(double tensor_x) const { return (tensor_x - offset_x) / scale_x; }
  double ToImageY(double tensor_y) const { return (tensor_y - offset_y) / scale_y; }
};

/// Receives elements [first, first + values.size()) of the tensor: every element exactly once, all
/// channels of an image row before the next row.
using ElementSink = std::function<void(uint64_t first, std::span<const float> values)>;

class Preprocess {
 public:
  /// No preprocessing sealed: Fill refuses, for tensors come as .npy or .raw.
  Preprocess() = default;
  /// Errors: kMalformed (not JSON), kInvalidArgument (a key, with what it takes). "" is none.
  static Result<Preprocess> Parse(std::string_view json);
  /// The preset `name` for an input of `shape` (1,C,H,W or 1,H,W,C): imagenet, tf, caffe, darknet
  /// (letterbox, as darknet's detector and classifier do), darknet-crop (resize_min, then the
  /// centre), ocr, ocr-det, none.
  /// Errors: kInvalidArgument (no such preset; a shape that is not a 3-channel image).
  static Result<Preprocess> Preset(std::string_view name, std::span<const uint32_t> shape);

  bool none() const { return none_; }
  /// Canonical: Parse(ToJson()) is the same, and so is its ToJson(). "" for none.
  std::string ToJson() const;
  /// Errors: kInvalidArgument if it cannot fill an input of this shape.
  Status CheckShape(std::span<const uint32_t> shape) const;

  /// Fills an input of `shape` from `image`, through rows: no tensor is held.
  /// Errors: as CheckShape.
  Result<Geometry> Fill(const Image& image, std::span<const uint32_t> shape,
                        const ElementSink& sink) const;

 private:
  friend struct PreprocessJson;
  uint32_t Channels() const { return color_ == Color::kGray ? 1 : 3; }

  bool none_ = true;
  Color color_ = Color::kRgb;
  ResizeMode resize_ = ResizeMode::kStretch;
  Interpolation interpolation_ = Interpolation::kBilinear;
  Layout layout_ = Layout::kNchw;
  uint32_t resize_short_ = 0;
  double scale_ = 1;
  std::array<double, 3> mean_{};
  std::array<double, 3> std_{1, 1, 1};
  double pad_value_ = 0;
};

/// The names that Preset knows, for help texts.
inline constexpr std::array<std::string_view, 8> kPreprocessPresets = {
    "imagenet", "tf", "caffe", "darknet", "darknet-crop", "ocr", "ocr-det", "none"};

}  // namespace coracle::vision
