#include "cmd/support/kept_picture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace coracle::cmd {
namespace {

/// Every element comes back once, where it was; pieces are written from the last to the first.
void CheckReturns(uint64_t pieces, uint64_t piece_elements) {
  std::vector<float> values(pieces * piece_elements);
  std::iota(values.begin(), values.end(), 0.5F);
  const auto write = [&](const vision::ElementSink& sink) -> Status {
    for (uint64_t piece = pieces; piece-- > 0;) {
      const uint64_t first = piece * piece_elements;
      sink(first, std::span<const float>(values).subspan(first, piece_elements));
    }
    return {};
  };
  const auto kept = KeptPicture::Seal(values.size(), write).value();
  EXPECT_GE(kept->outside_bytes(), values.size() * sizeof(float));
  for (int round = 0; round < 2; ++round) {
    std::vector<float> opened(values.size(), -1);
    uint64_t count = 0;
    const Status done = kept->Open([&](uint64_t first, std::span<const float> piece) {
      std::ranges::copy(piece, &opened.at(first));
      count += piece.size();
    });
    ASSERT_TRUE(done.ok()) << done.error().message;
    EXPECT_EQ(count, values.size());
    EXPECT_EQ(opened, values);
  }
}

TEST(KeptPictureTest, ComesBackWhole) {
  CheckReturns(51, 31);
  CheckReturns(3, 5000);
  CheckReturns(1, 1);
}

TEST(KeptPictureTest, AWriterThatFailsSaysSo) {
  const auto kept = KeptPicture::Seal(4, [](const vision::ElementSink&) -> Status {
    return Error{Code::kNotFound, "no such picture"};
  });
  ASSERT_FALSE(kept.ok());
  EXPECT_EQ(kept.error().message, "no such picture");
}

}  // namespace
}  // namespace coracle::cmd
