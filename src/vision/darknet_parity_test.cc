// Compares with darknet itself where Debian's libdarknet is installed; skips, saying so, elsewhere.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "vision/preprocess.h"
#include "vision/test_files.h"

namespace coracle::vision {
namespace {

// darknet.h's own types.
struct DarknetImage {
  int w, h, c;
  float* data;
};
struct DarknetBox {
  float x, y, w, h;
};
struct DarknetDetection {
  DarknetBox bbox;
  int classes;
  float* prob;
  float* mask;
  float objectness;
  int sort_class;
};

class DarknetParity : public ::testing::Test {
 protected:
  void SetUp() override {
    library_ = dlopen("/usr/lib/darknet/libdarknet.so", RTLD_NOW | RTLD_LOCAL);
    if (library_ == nullptr) GTEST_SKIP() << "libdarknet is not installed";
  }
  template <typename F>
  F* Find(const char* name) {
    auto* found = reinterpret_cast<F*>(dlsym(library_, name));
    EXPECT_NE(found, nullptr) << name;
    return found;
  }

 private:
  void* library_ = nullptr;
};

Image Noise(uint32_t width, uint32_t height) {
  Image image = Image::Blank(width, height);
  uint32_t state = 99;
  for (uint8_t& byte : image.pixels()) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<uint8_t>(state >> 24);
  }
  return image;
}

/// As load_image_stb does it: planes of value / 255.
std::vector<float> Planes(const Image& image) {
  std::vector<float> planes;
  for (uint32_t channel = 0; channel < 3; ++channel) {
    for (uint32_t y = 0; y < image.height(); ++y) {
      for (uint32_t x = 0; x < image.width(); ++x) {
        planes.push_back(static_cast<float>(image.At(x, y)[channel] / 255.));
      }
    }
  }
  return planes;
}

void ExpectSame(std::string_view preset, const Image& image, const DarknetImage& theirs) {
  const std::vector<uint32_t> shape = {1, 3, static_cast<uint32_t>(theirs.h),
                                       static_cast<uint32_t>(theirs.w)};
  auto preprocess = Preprocess::Preset(preset, shape);
  ASSERT_TRUE(preprocess.ok()) << preprocess.error().message;
  double worst = 0;
  auto geometry = preprocess->Fill(image, shape, [&](uint64_t first, std::span<const float> row) {
    for (size_t i = 0; i < row.size(); ++i) {
      worst = std::max(worst, std::abs(double{row[i]} - theirs.data[first + i]));
    }
  });
  ASSERT_TRUE(geometry.ok());
  EXPECT_LT(worst, 1e-6) << preset << " of " << image.width() << "x" << image.height();
}

TEST_F(DarknetParity, LetterboxIsTheirs) {
  auto* letterbox = Find<DarknetImage(DarknetImage, int, int)>("letterbox_image");
  auto* release = Find<void(DarknetImage)>("free_image");
  for (const auto& [width, height] :
       {std::pair{768u, 576u}, {100u, 333u}, {320u, 320u}, {7u, 5u}, {641u, 427u}}) {
    const Image image = Noise(width, height);
    auto planes = Planes(image);
    const DarknetImage input{static_cast<int>(width), static_cast<int>(height), 3, planes.data()};
    for (const auto& [net_width, net_height] : {std::pair{320, 320}, {416, 416}, {224, 160}}) {
      const DarknetImage boxed = letterbox(input, net_width, net_height);
      ExpectSame("darknet", image, boxed);
      release(boxed);
    }
  }
}

TEST_F(DarknetParity, CropIsTheirs) {
  auto* resize_min = Find<DarknetImage(DarknetImage, int)>("resize_min");
  auto* crop = Find<DarknetImage(DarknetImage, int, int, int, int)>("crop_image");
  auto* release = Find<void(DarknetImage)>("free_image");
  for (const auto& [width, height] : {std::pair{500u, 333u}, {333u, 500u}, {640u, 480u}}) {
    const Image image = Noise(width, height);
    auto planes = Planes(image);
    const DarknetImage input{static_cast<int>(width), static_cast<int>(height), 3, planes.data()};
    const DarknetImage resized = resize_min(input, 224);
    const DarknetImage middle =
        crop(resized, (resized.w - 224) / 2, (resized.h - 224) / 2, 224, 224);
    ExpectSame("darknet-crop", image, middle);
    release(resized);
    release(middle);
  }
}

constexpr int kGrid = 13;
constexpr int kClasses = 3;
constexpr int kNet = 416;
constexpr int kImageWidth = 768;
constexpr int kImageHeight = 576;

/// A head with many overlapping boxes, as after its activation.
MemoryOutput CrowdedHead() {
  MemoryOutput head("h", Shape{1, 2 * (5 + kClasses), kGrid, kGrid}, {});
  uint32_t state = 7;
  const auto uniform = [&state] {
    state = state * 1664525 + 1013904223;
    return static_cast<float>(state >> 8) / static_cast<float>(1 << 24);
  };
  const size_t plane = kGrid * kGrid;
  for (size_t i = 0; i < head.values().size(); ++i) {
    const size_t entry = (i / plane) % (5 + kClasses);
    head.values()[i] = entry == 2 || entry == 3 ? uniform() - .5f : uniform();
  }
  return head;
}

TEST_F(DarknetParity, DetectionsAreTheirs) {
  auto* get_box =
      Find<DarknetBox(float*, float*, int, int, int, int, int, int, int, int, int)>("get_yolo_box");
  auto* correct = Find<void(DarknetDetection*, int, int, int, int, int, int)>("correct_yolo_boxes");
  auto* suppress = Find<void(DarknetDetection*, int, int, float)>("do_nms_sort");
  MemoryOutput head = CrowdedHead();
  float anchors[] = {81, 82, 135, 169};
  const int plane = kGrid * kGrid;
  const auto& values = head.values();
  std::vector<DarknetDetection> theirs;
  std::vector<std::vector<float>> probabilities;
  for (int n = 0; n < 2; ++n) {
    for (int cell = 0; cell < plane; ++cell) {
      const int index = n * plane * (5 + kClasses) + cell;
      const float objectness = values[static_cast<size_t>(index + 4 * plane)];
      if (objectness <= .5f) continue;
      DarknetDetection found{};
      found.bbox = get_box(head.values().data(), anchors, n, index, cell % kGrid, cell / kGrid,
                           kGrid, kGrid, kNet, kNet, plane);
      found.objectness = objectness;
      found.classes = kClasses;
      std::vector<float> scores;
      for (int c = 0; c < kClasses; ++c) {
        const float score = objectness * values[static_cast<size_t>(index + (5 + c) * plane)];
        scores.push_back(score > .5f ? score : 0);
      }
      probabilities.push_back(std::move(scores));
      theirs.push_back(found);
    }
  }
  for (size_t i = 0; i < theirs.size(); ++i) theirs[i].prob = probabilities[i].data();
  const int total = static_cast<int>(theirs.size());
  correct(theirs.data(), total, kImageWidth, kImageHeight, kNet, kNet, 0);
  suppress(theirs.data(), total, kClasses, .45f);

  auto decoder = Decoder::Parse(R"({"kind":"yolo","net_width":416,"net_height":416,"heads":[
      {"output":"h","classes":3,"anchors":[[81,82],[135,169]]}]})");
  ASSERT_TRUE(decoder.ok()) << decoder.error().message;
  auto darknet = Preprocess::Preset("darknet", std::vector<uint32_t>{1, 3, kNet, kNet});
  auto geometry = darknet->Fill(Image::Blank(kImageWidth, kImageHeight),
                                std::vector<uint32_t>{1, 3, kNet, kNet},
                                [](uint64_t, std::span<const float>) {});
  const OutputView* views[] = {&head};
  auto answer = decoder->Decode(views, {}, {.top = 5, .geometry = *geometry});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  const auto& ours = std::get<BoxAnswer>(answer->value).detections;

  size_t count = 0;
  for (const DarknetDetection& found : theirs) {
    for (int c = 0; c < kClasses; ++c) {
      if (found.prob[c] == 0) continue;
      ++count;
      const bool same = std::ranges::any_of(ours, [&](const Detection& mine) {
        return mine.index == static_cast<uint32_t>(c) &&
               std::abs(mine.score - found.prob[c]) < 1e-5 &&
               std::abs(mine.box.x - (found.bbox.x - found.bbox.w / 2)) < 1e-2 &&
               std::abs(mine.box.y - (found.bbox.y - found.bbox.h / 2)) < 1e-2 &&
               std::abs(mine.box.width - found.bbox.w) < 1e-2 &&
               std::abs(mine.box.height - found.bbox.h) < 1e-2;
      });
      EXPECT_TRUE(same) << "class " << c << " score " << found.prob[c];
    }
  }
  EXPECT_EQ(ours.size(), count);
  EXPECT_GT(count, 10u);
}

}  // namespace
}  // namespace coracle::vision
