#include "kernels/strided_copy.h"

#include <numeric>
#include <vector>

#include "gtest/gtest.h"

namespace coracle::kernels {
namespace {

TEST(StridedCopy, CopiesOneElementWithoutAxes) {
  const float in = 3;
  float out = 0;
  StridedCopy().Run(&in, &out);
  EXPECT_EQ(out, 3);
}

TEST(StridedCopy, JoinsContiguousAxes) {
  std::vector<float> in(60);
  std::iota(in.begin(), in.end(), 0.0F);
  std::vector<float> out(60);
  StridedCopy copy;
  copy.AddAxis(3, 20, 20);
  copy.AddAxis(4, 5, 5);
  copy.AddAxis(5, 1, 1);
  copy.Run(in.data(), out.data());
  EXPECT_EQ(out, in);
}

TEST(StridedCopy, TransposesAnyOrder) {
  std::vector<float> in(2 * 3 * 4 * 37);
  std::iota(in.begin(), in.end(), 0.0F);
  std::vector<float> out(in.size());
  // out[d][b][c][a] = in[a][b][c][d]
  StridedCopy copy;
  copy.AddAxis(37, 24, 1);
  copy.AddAxis(3, 8, 148);
  copy.AddAxis(4, 2, 37);
  copy.AddAxis(2, 1, 444);
  copy.Run(in.data(), out.data());
  for (size_t i = 0; i < in.size(); ++i) {
    const size_t d = i % 37, c = i / 37 % 4, b = i / 148 % 3, a = i / 444;
    ASSERT_EQ(out[d * 24 + b * 8 + c * 2 + a], in[i]);
  }
}

}  // namespace
}  // namespace coracle::kernels
