// Preprocess as JSON, and its presets.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "vision/json_fields.h"
#include "vision/preprocess.h"

namespace coracle::vision {
namespace {

constexpr std::string_view kWhat = "preprocess";
constexpr uint32_t kSideMax = 1 << 16;

template <typename E>
struct Name {
  std::string_view text;
  E value;
};
constexpr std::array kColors = {Name<Color>{"RGB", Color::kRgb}, Name<Color>{"BGR", Color::kBgr},
                                Name<Color>{"GRAY", Color::kGray}};
constexpr std::array kModes = {Name<ResizeMode>{"stretch", ResizeMode::kStretch},
                               Name<ResizeMode>{"center_crop", ResizeMode::kCenterCrop},
                               Name<ResizeMode>{"short_side", ResizeMode::kShortSide},
                               Name<ResizeMode>{"letterbox", ResizeMode::kLetterbox},
                               Name<ResizeMode>{"fixed_height", ResizeMode::kFixedHeight}};
constexpr std::array kInterpolations = {Name<Interpolation>{"bilinear", Interpolation::kBilinear},
                                        Name<Interpolation>{"nearest", Interpolation::kNearest},
                                        Name<Interpolation>{"corners", Interpolation::kCorners}};
constexpr std::array kLayouts = {Name<Layout>{"NCHW", Layout::kNchw},
                                 Name<Layout>{"NHWC", Layout::kNhwc}};

template <typename E, size_t N>
std::string NameOf(const std::array<Name<E>, N>& names, E value) {
  return std::string(std::ranges::find(names, value, &Name<E>::value)->text);
}

/// `fallback` if the key is absent; without one it is required.
template <typename E, size_t N>
Result<E> ReadName(JsonFields& fields, std::string_view key, const std::array<Name<E>, N>& names,
                   std::optional<E> fallback) {
  TRY_ASSIGN(const auto text, fields.String(key));
  if (!text && fallback) return *fallback;
  const auto found = text ? std::ranges::find(names, *text, &Name<E>::text) : names.end();
  if (found == names.end()) {
    std::vector<std::string_view> known;
    known.reserve(names.size());
    for (const auto& name : names) known.push_back(name.text);
    return fields.Wrong(key, fmt::format("one of {}", fmt::join(known, ", ")));
  }
  return found->value;
}

/// One number for each channel into the first of `values`.
Status ReadChannels(JsonFields& fields, std::string_view key, uint32_t channels,
                    std::array<double, 3>& values) {
  TRY_ASSIGN(const auto numbers, fields.Numbers(key, channels));
  if (!numbers) return {};
  if (numbers->size() != channels) {
    return fields.Wrong(key, fmt::format("an array of {} numbers, one a channel", channels));
  }
  std::ranges::copy(*numbers, values.begin());
  return {};
}

}  // namespace

/// Reads and writes the private fields.
struct PreprocessJson {
  static Result<Preprocess> Read(const nlohmann::json& object) {
    JsonFields fields(object, kWhat);
    Preprocess spec;
    spec.none_ = false;
    TRY_ASSIGN(spec.color_, ReadName(fields, "color", kColors, std::optional<Color>()));
    TRY_ASSIGN(spec.resize_, ReadName(fields, "resize", kModes, std::optional<ResizeMode>()));
    TRY_ASSIGN(spec.interpolation_, ReadName(fields, "interpolation", kInterpolations,
                                             std::optional(Interpolation::kBilinear)));
    TRY_ASSIGN(spec.layout_, ReadName(fields, "layout", kLayouts, std::optional(Layout::kNchw)));
    TRY(ReadNumbers(fields, spec));
    TRY(fields.Finish());
    return spec;
  }

  static Status ReadNumbers(JsonFields& fields, Preprocess& spec) {
    if (spec.resize_ == ResizeMode::kShortSide) {
      TRY_ASSIGN(spec.resize_short_, fields.RequiredWhole("resize_short", 1, kSideMax));
    }
    TRY_ASSIGN(const auto scale, fields.Number("scale"));
    spec.scale_ = scale.value_or(1);
    TRY(ReadChannels(fields, "mean", spec.Channels(), spec.mean_));
    TRY(ReadChannels(fields, "std", spec.Channels(), spec.std_));
    for (uint32_t channel = 0; channel < spec.Channels(); ++channel) {
      if (!(std::abs(spec.std_.at(channel)) >= 1e-30)) return fields.Wrong("std", "above zero");
    }
    TRY_ASSIGN(const auto pad, fields.Number("pad_value"));
    spec.pad_value_ = pad.value_or(0);
    return {};
  }

  static std::string Write(const Preprocess& spec) {
    const auto channels = static_cast<ptrdiff_t>(spec.Channels());
    const auto numbers = [channels](const std::array<double, 3>& values) {
      return nlohmann::json(std::vector(values.begin(), values.begin() + channels));
    };
    nlohmann::json object = {
        {"color", NameOf(kColors, spec.color_)},
        {"resize", NameOf(kModes, spec.resize_)},
        {"interpolation", NameOf(kInterpolations, spec.interpolation_)},
        {"layout", NameOf(kLayouts, spec.layout_)},
        {"scale", spec.scale_},
        {"mean", numbers(spec.mean_)},
        {"std", numbers(spec.std_)},
        {"pad_value", spec.pad_value_},
    };
    if (spec.resize_ == ResizeMode::kShortSide) object["resize_short"] = spec.resize_short_;
    return object.dump();
  }
};

namespace {

/// What the preset says, but for the layout; `side` is the longer side of the input.
nlohmann::json PresetJson(std::string_view name, uint32_t side) {
  constexpr double kByte = 1.0 / 255;
  const nlohmann::json mean = {.485, .456, .406};
  const nlohmann::json deviation = {.229, .224, .225};
  if (name == "imagenet") {
    const auto resize_short = static_cast<uint32_t>(std::lround(side * (256.0 / 224.0)));
    return {{"color", "RGB"}, {"resize", "short_side"}, {"resize_short", resize_short},
            {"scale", kByte}, {"mean", mean},           {"std", deviation}};
  }
  if (name == "tf") {
    return {{"color", "RGB"},
            {"resize", "center_crop"},
            {"mean", {127.5, 127.5, 127.5}},
            {"std", {127.5, 127.5, 127.5}}};
  }
  if (name == "caffe") {
    return {{"color", "BGR"}, {"resize", "center_crop"}, {"mean", {104, 117, 123}}};
  }
  if (name == "darknet") {
    return {{"color", "RGB"},
            {"resize", "letterbox"},
            {"interpolation", "corners"},
            {"scale", kByte},
            {"pad_value", .5}};
  }
  if (name == "darknet-crop") {
    return {{"color", "RGB"},
            {"resize", "short_side"},
            {"resize_short", side},
            {"interpolation", "corners"},
            {"scale", kByte}};
  }
  if (name == "ocr") {
    return {{"color", "BGR"},
            {"resize", "fixed_height"},
            {"scale", kByte},
            {"mean", {.5, .5, .5}},
            {"std", {.5, .5, .5}}};
  }
  if (name == "ocr-det") {
    return {{"color", "BGR"},
            {"resize", "stretch"},
            {"scale", kByte},
            {"mean", mean},
            {"std", deviation}};
  }
  return nullptr;
}

}  // namespace

Result<Preprocess> Preprocess::Parse(std::string_view json) {
  if (json.empty()) return Preprocess();
  TRY_ASSIGN(const auto object, JsonFields::ParseObject(json, kWhat));
  return PreprocessJson::Read(object);
}

Result<Preprocess> Preprocess::Preset(std::string_view name, std::span<const uint32_t> shape) {
  if (name == "none") return Preprocess();
  if (std::ranges::find(kPreprocessPresets, name) == kPreprocessPresets.end()) {
    return Error{Code::kInvalidArgument,
                 fmt::format("no preprocessing \"{}\": give one of {}, or a JSON file",
                             ToUtf8(name.substr(0, 40)), fmt::join(kPreprocessPresets, ", "))};
  }
  const bool image = shape.size() == 4 && shape[0] == 1;
  const bool channels_first = image && shape[1] == Image::kChannels;
  const bool channels_last = image && shape[3] == Image::kChannels;
  if (!channels_first && !channels_last) {
    return Error{
        Code::kInvalidArgument,
        fmt::format("preprocess \"{}\" fills an input of 1,3,H,W or 1,H,W,3; this one is {}", name,
                    fmt::join(shape, ","))};
  }
  const uint32_t side =
      channels_first ? std::max(shape[2], shape[3]) : std::max(shape[1], shape[2]);
  nlohmann::json object = PresetJson(name, side);
  object["layout"] = channels_first ? "NCHW" : "NHWC";
  TRY_ASSIGN(const Preprocess preset, PreprocessJson::Read(object));
  TRY(preset.CheckShape(shape));
  return preset;
}

std::string Preprocess::ToJson() const { return none_ ? "" : PreprocessJson::Write(*this); }

}  // namespace coracle::vision
