#include "vision/draw.h"

#include <gtest/gtest.h>

#include "vision/test_files.h"

namespace coracle::vision {
namespace {

size_t ChangedPixels(const Image& before, const Image& after) {
  size_t count = 0;
  for (uint32_t y = 0; y < before.height(); ++y) {
    for (uint32_t x = 0; x < before.width(); ++x) {
      count += std::equal(before.At(x, y), before.At(x, y) + 3, after.At(x, y)) ? 0 : 1;
    }
  }
  return count;
}

TEST(DrawText, StaysInsideItsLineAndItsImage) {
  const Image blank = Image::Blank(200, 40);
  Image image = blank.Clone();
  DrawText(image, 10, 10, 1, "dog 94%", {255, 255, 255});
  EXPECT_GT(ChangedPixels(blank, image), 50u);
  for (uint32_t x = 0; x < 200; ++x) {
    for (const uint32_t y : {0u, 9u, 23u, 39u}) EXPECT_EQ(image.At(x, y)[0], 0);
  }
  EXPECT_GT(TextWidth(2, "abc"), TextWidth(1, "abc"));
  DrawText(image, -50, -5, 8, "a very long text that leaves the image on every side", {1, 2, 3});
  std::string hostile;
  for (int c = 1; c < 256; ++c) hostile += static_cast<char>(c);
  DrawText(image, 0, 0, 1, hostile, {1, 2, 3});
}

TEST(Draw, PaintsBoxesEvenOutsideOfTheImage) {
  const Image blank = Image::Blank(100, 80);
  Answer answer;
  answer.value = BoxAnswer{{{"dog", 0, .94, {20, 30, 40, 30}},
                            {"cat", 1, .8, {-500, -500, 5000, 1e300}},
                            {"owl", 2, .7, {90, 70, 1, -1}}}};
  auto image = Draw(&blank, answer, {}, Geometry());
  ASSERT_TRUE(image.ok());
  EXPECT_GT(image->At(20, 45)[0] + image->At(20, 45)[1] + image->At(20, 45)[2], 0);
  EXPECT_EQ(image->At(40, 55)[0] + image->At(40, 55)[1] + image->At(40, 55)[2], 0);
  EXPECT_FALSE(Draw(nullptr, answer, {}, {}).ok());
}

TEST(Draw, WritesABanner) {
  const Image blank = Image::Blank(300, 100);
  Answer answer;
  answer.value = TopAnswer{{{"hot dog", 934, .99}}};
  EXPECT_GT(ChangedPixels(blank, *Draw(&blank, answer, {}, Geometry())), 50u);
  answer.value = TextAnswer{"纯臻营养护发素0.99", .9};
  EXPECT_GT(ChangedPixels(blank, *Draw(&blank, answer, {}, Geometry())), 50u);
}

TEST(Draw, HeatmapTintsOrStandsAlone) {
  const MemoryOutput map("m", Shape{1, 1, 2, 2}, {0, 1, 2, 4});
  const OutputView* views[] = {&map};
  Answer answer;
  answer.value = HeatmapAnswer{2, 2, 0, 4};
  auto grey = Draw(nullptr, answer, views, {});
  ASSERT_TRUE(grey.ok());
  EXPECT_EQ(grey->At(0, 0)[0], 0);
  EXPECT_EQ(grey->At(0, 1)[1], 128);
  EXPECT_EQ(grey->At(1, 1)[2], 255);

  Image image = Image::Blank(8, 8);
  std::ranges::fill(image.pixels(), uint8_t{100});
  auto tinted = Draw(&image, answer, views, Geometry{.5, .5, 0, 0, 8, 8, 4, 4});
  ASSERT_TRUE(tinted.ok());
  EXPECT_EQ(tinted->At(1, 1)[0], 100);
  EXPECT_EQ(tinted->At(7, 7)[0], 193);
  EXPECT_EQ(tinted->At(7, 7)[1], 40);
}

}  // namespace
}  // namespace coracle::vision
