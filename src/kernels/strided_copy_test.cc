#include "kernels/strided_copy.h"

#include <numeric>
#include <vector>

#include "gtest/gtest.h"

namespace coracle::kernels {
namespace {

template <typename Element>
void RunCopy(const StridedCopy& copy, const Element* in, Element* out) {
  copy.Run(reinterpret_cast<const std::byte*>(in), reinterpret_cast<std::byte*>(out));
}

TEST(StridedCopy, CopiesOneElementWithoutAxes) {
  const float in = 3;
  float out = 0;
  RunCopy(StridedCopy(sizeof(float)), &in, &out);
  EXPECT_EQ(out, 3);
}

TEST(StridedCopy, JoinsContiguousAxes) {
  std::vector<float> in(60);
  std::iota(in.begin(), in.end(), 0.0F);
  std::vector<float> out(60);
  StridedCopy copy(sizeof(float));
  copy.AddAxis(3, 20, 20);
  copy.AddAxis(4, 5, 5);
  copy.AddAxis(5, 1, 1);
  RunCopy(copy, in.data(), out.data());
  EXPECT_EQ(out, in);
}

template <typename Element>
void TransposeAnyOrder() {
  std::vector<Element> in(2 * 3 * 4 * 37);
  std::iota(in.begin(), in.end(), Element{0});
  std::vector<Element> out(in.size());
  // out[d][b][c][a] = in[a][b][c][d]
  StridedCopy copy(sizeof(Element));
  copy.AddAxis(37, 24, 1);
  copy.AddAxis(3, 8, 148);
  copy.AddAxis(4, 2, 37);
  copy.AddAxis(2, 1, 444);
  RunCopy(copy, in.data(), out.data());
  for (size_t i = 0; i < in.size(); ++i) {
    const size_t d = i % 37, c = i / 37 % 4, b = i / 148 % 3, a = i / 444;
    ASSERT_EQ(out[d * 24 + b * 8 + c * 2 + a], in[i]);
  }
}

TEST(StridedCopy, TransposesAnyOrder) {
  TransposeAnyOrder<float>();
  TransposeAnyOrder<uint8_t>();
}

}  // namespace
}  // namespace coracle::kernels
