#include "vision/preprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "vision/test_files.h"

namespace coracle::vision {
namespace {

using ::testing::HasSubstr;

using Dims = std::vector<uint32_t>;

Image Noise(uint32_t width, uint32_t height) {
  Image image = Image::Blank(width, height);
  uint32_t state = 12345;
  for (uint8_t& byte : image.pixels()) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<uint8_t>(state >> 24);
  }
  return image;
}

struct Filled {
  std::vector<float> values;
  Geometry geometry;
};

Filled FillAll(const Preprocess& preprocess, const Image& image, const Dims& shape) {
  Filled filled;
  uint64_t elements = 1;
  for (const uint32_t dim : shape) elements *= dim;
  filled.values.resize(elements, std::nanf(""));
  uint64_t count = 0;
  auto geometry = preprocess.Fill(image, shape, [&](uint64_t first, std::span<const float> values) {
    ASSERT_LE(first + values.size(), elements);
    EXPECT_TRUE(std::isnan(filled.values[first])) << "written twice";
    std::ranges::copy(values, filled.values.begin() + static_cast<ptrdiff_t>(first));
    count += values.size();
  });
  EXPECT_EQ(count, elements);
  EXPECT_TRUE(geometry.ok()) << (geometry.ok() ? "" : geometry.error().message);
  if (geometry.ok()) filled.geometry = *geometry;
  return filled;
}

Filled FillPreset(std::string_view name, const Image& image, const Dims& shape) {
  auto preset = Preprocess::Preset(name, shape);
  EXPECT_TRUE(preset.ok()) << (preset.ok() ? "" : preset.error().message);
  auto filled = FillAll(*preset, image, shape);
  return filled;
}

/// Half-pixel bilinear of one channel, straight from the definition.
double Sample(const Image& image, double x, double y, int channel, double left, double right,
              double top, double bottom) {
  x = std::min(std::max(x, left), right);
  y = std::min(std::max(y, top), bottom);
  double sum = 0;
  for (double j = std::floor(y); j <= std::floor(y) + 1; ++j) {
    for (double i = std::floor(x); i <= std::floor(x) + 1; ++i) {
      const double weight = (1 - std::abs(x - i)) * (1 - std::abs(y - j));
      if (weight > 0) {
        sum += weight * image.At(static_cast<uint32_t>(i), static_cast<uint32_t>(j))[channel];
      }
    }
  }
  return sum;
}

TEST(Preprocess, ImagenetIsShortSideThenCentre) {
  const Image image = Noise(40, 30);
  // 14 pixels: the short side becomes 16, the long side int(16 * 40 / 30) = 21.
  const auto filled = FillPreset("imagenet", image, {1, 3, 14, 14});
  const double mean[] = {.485, .456, .406};
  const double deviation[] = {.229, .224, .225};
  for (int channel = 0; channel < 3; ++channel) {
    for (int y = 0; y < 14; ++y) {
      for (int x = 0; x < 14; ++x) {
        const double source_x = (x + 3 + .5) * 40 / 21 - .5;
        const double source_y = (y + 1 + .5) * 30 / 16 - .5;
        const double pixel = Sample(image, source_x, source_y, channel, 0, 39, 0, 29) / 255;
        EXPECT_NEAR(filled.values[static_cast<size_t>((channel * 14 + y) * 14 + x)],
                    (pixel - mean[channel]) / deviation[channel], 1e-4);
      }
    }
  }
  EXPECT_NEAR(filled.geometry.ToImageX(0), 3 * 40 / 21.0, 1e-9);
  EXPECT_NEAR(filled.geometry.ToImageY(14), 15 * 30 / 16.0, 1e-9);
}

TEST(Preprocess, TfAndCaffeCropTheCentreSquare) {
  const Image image = Noise(31, 20);
  const auto tf = FillPreset("tf", image, {1, 3, 8, 8});
  const auto caffe = FillPreset("caffe", image, {1, 3, 8, 8});
  const double mean[] = {104, 117, 123};
  for (int channel = 0; channel < 3; ++channel) {
    for (int y = 0; y < 8; ++y) {
      for (int x = 0; x < 8; ++x) {
        const auto at = static_cast<size_t>((channel * 8 + y) * 8 + x);
        const double source_x = 5 + (x + .5) * 2.5 - .5;
        const double source_y = (y + .5) * 2.5 - .5;
        EXPECT_NEAR(tf.values[at],
                    (Sample(image, source_x, source_y, channel, 5, 24, 0, 19) - 127.5) / 127.5,
                    1e-5);
        EXPECT_NEAR(caffe.values[at],
                    Sample(image, source_x, source_y, 2 - channel, 5, 24, 0, 19) - mean[channel],
                    1e-3);
      }
    }
  }
  EXPECT_DOUBLE_EQ(tf.geometry.ToImageX(8), 25);
  EXPECT_DOUBLE_EQ(tf.geometry.ToImageY(4), 10);
}

TEST(Preprocess, SameSizeMeansSamePixels) {
  const Image image = Noise(16, 16);
  const auto filled = FillPreset("tf", image, {1, 3, 16, 16});
  for (uint32_t y = 0; y < 16; ++y) {
    for (uint32_t x = 0; x < 16; ++x) {
      EXPECT_FLOAT_EQ(filled.values[(16 + y) * 16 + x],
                      (static_cast<float>(image.At(x, y)[1]) - 127.5f) / 127.5f);
    }
  }
}

TEST(Preprocess, ChannelsLastHoldsTheSameValues) {
  const Image image = Noise(33, 47);
  const auto planar = FillPreset("ocr-det", image, {1, 3, 12, 20});
  const auto interleaved = FillPreset("ocr-det", image, {1, 12, 20, 3});
  for (size_t channel = 0; channel < 3; ++channel) {
    for (size_t at = 0; at < 240; ++at) {
      EXPECT_EQ(planar.values[channel * 240 + at], interleaved.values[at * 3 + channel]);
    }
  }
}

TEST(Preprocess, OcrPadsAtTheRightOrSqueezes) {
  // 48 high: 50 wide becomes ceil(48 * 50 / 20) = 120 of 160.
  const auto padded = FillPreset("ocr", Noise(50, 20), {1, 3, 48, 160});
  EXPECT_NE(padded.values[119], 0);
  for (size_t x = 120; x < 160; ++x) EXPECT_EQ(padded.values[x], 0);
  EXPECT_DOUBLE_EQ(padded.geometry.ToImageX(120), 50);
  const auto squeezed = FillPreset("ocr", Noise(500, 20), {1, 3, 48, 160});
  EXPECT_NE(squeezed.values[159], 0);
  EXPECT_DOUBLE_EQ(squeezed.geometry.ToImageX(160), 500);
  Image white = Image::Blank(50, 20);
  std::ranges::fill(white.pixels(), uint8_t{255});
  EXPECT_FLOAT_EQ(FillPreset("ocr", white, {1, 3, 48, 160}).values[0], 1);
}

TEST(Preprocess, DarknetLetterboxesInGrey) {
  Image white = Image::Blank(80, 40);
  std::ranges::fill(white.pixels(), uint8_t{255});
  const auto filled = FillPreset("darknet", white, {1, 3, 8, 8});
  for (size_t y = 0; y < 8; ++y) {
    // The last row of the content keeps only part of its weight in darknet where rounding says so.
    const float expected = y >= 2 && y < 6 ? 1.0f : 0.5f;
    for (size_t x = 0; x < 8; ++x) EXPECT_FLOAT_EQ(filled.values[y * 8 + x], expected) << y;
  }
  EXPECT_DOUBLE_EQ(filled.geometry.ToImageY(2), 0);
  EXPECT_DOUBLE_EQ(filled.geometry.ToImageY(6), 40);
  EXPECT_DOUBLE_EQ(filled.geometry.ToImageX(4), 40);
}

TEST(Preprocess, FillsRowByRow) {
  auto preset = Preprocess::Preset("tf", Dims{1, 3, 4, 5});
  ASSERT_TRUE(preset.ok());
  std::vector<uint64_t> firsts;
  const auto note = [&](uint64_t first, std::span<const float> values) {
    firsts.push_back(first);
    EXPECT_EQ(values.size(), 5U);
  };
  ASSERT_TRUE(preset->Fill(Noise(9, 9), Dims{1, 3, 4, 5}, note).ok());
  EXPECT_EQ(firsts, (std::vector<uint64_t>{0, 20, 40, 5, 25, 45, 10, 30, 50, 15, 35, 55}));
}

TEST(Preprocess, GreyIsOneChannel) {
  auto preprocess = Preprocess::Parse(R"({"color":"GRAY","resize":"stretch","scale":0.5,"mean":[1],
                                          "std":[2],"interpolation":"nearest"})");
  ASSERT_TRUE(preprocess.ok()) << preprocess.error().message;
  Image image = Image::Blank(2, 1);
  image.At(1, 0)[0] = 100;
  image.At(1, 0)[1] = 50;
  image.At(1, 0)[2] = 200;
  const auto filled = FillAll(*preprocess, image, {1, 1, 2, 4});
  EXPECT_FLOAT_EQ(filled.values[1], -0.5f);
  EXPECT_NEAR(filled.values[2], ((29.9 + 29.35 + 22.8) * .5 - 1) / 2, 1e-4);
}

TEST(Preprocess, ScaleOfAByteIsDarknetsDivision) {
  for (int i = 0; i < 256; ++i) {
    EXPECT_EQ(static_cast<float>(i * (1.0 / 255)), static_cast<float>(i / 255.0)) << i;
  }
}

TEST(Preprocess, CanonicalJsonIsStable) {
  for (const std::string_view name : kPreprocessPresets) {
    auto preset = Preprocess::Preset(name, Dims{1, 3, 224, 192});
    ASSERT_TRUE(preset.ok()) << name << preset.error().message;
    const std::string json = preset->ToJson();
    EXPECT_EQ(json.empty(), name == "none");
    auto back = Preprocess::Parse(json);
    ASSERT_TRUE(back.ok()) << name << back.error().message;
    EXPECT_EQ(back->ToJson(), json);
  }
}

TEST(Preprocess, RefusesWithTheKeysName) {
  const auto refuse = [](std::string_view json, std::string_view says) {
    auto preprocess = Preprocess::Parse(json);
    ASSERT_FALSE(preprocess.ok()) << json;
    EXPECT_THAT(preprocess.error().message, HasSubstr(std::string(says)));
  };
  refuse("[]", "not a JSON object");
  refuse("{", "not a JSON object");
  refuse(R"({"resize":"stretch"})", "\"color\" must be one of RGB, BGR, GRAY");
  refuse(R"({"color":"CMYK","resize":"stretch"})", "\"color\"");
  refuse(R"({"color":"RGB"})", "\"resize\"");
  refuse(R"({"color":"RGB","resize":"short_side"})", "\"resize_short\"");
  refuse(R"({"color":"RGB","resize":"stretch","resize_short":5})", "unknown key \"resize_short\"");
  refuse(R"({"color":"RGB","resize":"short_side","resize_short":0})", "from 1 to");
  refuse(R"({"color":"RGB","resize":"short_side","resize_short":1.5})", "whole number");
  refuse(R"({"color":"RGB","resize":"stretch","mean":[1,2]})", "\"mean\"");
  refuse(R"({"color":"RGB","resize":"stretch","mean":[1,2,"x"]})", "\"mean\"");
  refuse(R"({"color":"RGB","resize":"stretch","std":[1,0,1]})", "\"std\"");
  refuse(R"({"color":"RGB","resize":"stretch","scale":1e999})", "not a JSON object");
  refuse(R"({"color":"RGB","resize":"stretch","sclae":1})", "unknown key \"sclae\"");
  refuse(R"({"color":"RGB","resize":"stretch","interpolation":"cubic"})", "bilinear, nearest");
}

TEST(Preprocess, RefusesInputsThatAreNoImages) {
  EXPECT_THAT(Preprocess::Preset("vgg", Dims{1, 3, 8, 8}).error().message,
              HasSubstr("imagenet, tf"));
  EXPECT_FALSE(Preprocess::Preset("tf", Dims{1, 512}).ok());
  EXPECT_FALSE(Preprocess::Preset("tf", Dims{2, 3, 8, 8}).ok());
  EXPECT_FALSE(Preprocess::Preset("tf", Dims{1, 1, 8, 8}).ok());
  EXPECT_FALSE(Preprocess::Preset("tf", Dims{1, 3, 0, 8}).ok());
  const Image image = Noise(4, 4);
  const ElementSink sink = [](uint64_t, std::span<const float>) {};
  EXPECT_THAT(Preprocess().Fill(image, Dims{1, 3, 8, 8}, sink).error().message,
              HasSubstr("without preprocessing"));
  auto imagenet = Preprocess::Preset("imagenet", Dims{1, 3, 8, 8});
  ASSERT_TRUE(imagenet.ok());
  EXPECT_THAT(imagenet->Fill(image, Dims{1, 3, 99, 8}, sink).error().message,
              HasSubstr("resize_short"));
}

TEST(Preprocess, TakesImagesOfAnyProportion) {
  for (const std::string_view name : kPreprocessPresets) {
    if (name == "none") continue;
    for (const auto& [width, height] : {std::pair{1u, 1u}, {1u, 500u}, {700u, 1u}, {2u, 3u}}) {
      FillPreset(name, Noise(width, height), {1, 3, 24, 32});
      FillPreset(name, Noise(width, height), {1, 3, 1, 1});
    }
  }
}

}  // namespace
}  // namespace coracle::vision
