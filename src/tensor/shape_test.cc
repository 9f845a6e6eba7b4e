#include "tensor/shape.h"

#include <gtest/gtest.h>

#include "tensor/dtype.h"

namespace coracle {
namespace {

TEST(ShapeTest, KnowsItsElements) {
  const Shape shape{1, 224, 224, 3};
  EXPECT_EQ(shape.rank(), 4U);
  EXPECT_EQ(shape.Elements(), 150528U);
  EXPECT_EQ(shape.Back(0), 3U);
  EXPECT_EQ(shape.ToString(), "1x224x224x3");
  EXPECT_EQ(Shape{}.Elements(), 1U);
  EXPECT_EQ(Shape{}.ToString(), "scalar");
}

TEST(ShapeTest, OverflowIsNothing) {
  const Shape huge{0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF};
  EXPECT_EQ(huge.CheckedElements(), std::nullopt);
}

TEST(ShapeTest, ComparesDimensionsOnly) {
  Shape built;
  built.Append(2);
  built.Append(5);
  EXPECT_EQ(built, (Shape{2, 5}));
  EXPECT_NE(built, (Shape{2, 5, 1}));
}

TEST(DTypeTest, SizesAndNames) {
  EXPECT_EQ(DTypeBytes(DType::kFloat16), 2U);
  EXPECT_EQ(DTypeName(DType::kInt64), "int64");
}

}  // namespace
}  // namespace coracle
