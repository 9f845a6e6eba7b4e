#include "cmd/support/kept_picture.h"

#include <gtest/gtest.h>

#include <numeric>

namespace coracle::cmd {
namespace {

const std::vector<uint32_t> kChannelsFirst = {0, 2, 3, 1};
const std::vector<uint32_t> kChannelsLast = {0, 1, 2, 3};

/// Every element comes back once, where it was.
void CheckReturns(const Shape& shape, const std::vector<uint32_t>& perm) {
  const graph::Port port{.name = "x", .tensor = {}, .shape = shape, .perm = perm};
  std::vector<float> values(shape.Elements());
  std::iota(values.begin(), values.end(), 0.5F);
  const auto kept = KeptPicture::Seal(port, values).value();
  for (int round = 0; round < 2; ++round) {
    std::vector<float> opened(values.size(), -1);
    uint64_t count = 0;
    const Status done = kept->Open([&](uint64_t first, std::span<const float> piece) {
      for (const float value : piece) opened.at(first++) = value;
      count += piece.size();
    });
    ASSERT_TRUE(done.ok()) << done.error().message;
    EXPECT_EQ(count, values.size());
    EXPECT_EQ(opened, values);
  }
}

TEST(KeptPictureTest, ComesBackWhole) {
  CheckReturns(Shape{1, 3, 17, 31}, kChannelsFirst);
  CheckReturns(Shape{1, 17, 31, 3}, kChannelsLast);
  CheckReturns(Shape{1, 3, 1, 5000}, kChannelsFirst);  // rows longer than a piece
  CheckReturns(Shape{1, 1, 1, 1}, kChannelsFirst);
}

}  // namespace
}  // namespace coracle::cmd
