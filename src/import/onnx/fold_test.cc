#include "import/onnx/fold.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "import/onnx/operators.h"
#include "import/onnx/test_model.h"

namespace coracle::import {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ConstantPtr Ints(const Shape& shape, const std::vector<int64_t>& values) {
  return StoreIntegers(DType::kInt64, shape, values);
}

/// One node, folded.
class Folding {
 public:
  Folding(const std::string& type, const std::vector<ConstantPtr>& inputs) {
    proto_.set_op_type(type);
    proto_.set_name("n");
    *proto_.add_output() = std::string(1, 'y');
    for (const ConstantPtr& input : inputs) {
      *proto_.add_input() = std::string(1, 'c');
      inputs_.emplace_back(Value::Of(input));
    }
  }
  onnx::NodeProto& proto() { return proto_; }
  FoldResult Run(uint64_t model_bytes = 0) {
    FoldBudget budget(model_bytes);
    return FindOnnxOperator(proto_.op_type())->fold(OnnxNode(proto_, 13, inputs_), budget);
  }
  std::vector<double> Values() {
    const FoldResult result = Run();
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
    return result.ok() ? LoadDoubles(**result) : std::vector<double>{};
  }

 private:
  onnx::NodeProto proto_;
  std::vector<std::optional<Value>> inputs_;
};

TEST(Fold, BroadcastsArithmetic) {
  const ConstantPtr column = Ints({2, 1}, {10, 20});
  const ConstantPtr row = Ints({3}, {1, 2, 3});
  EXPECT_THAT(Folding("Add", {column, row}).Values(), ElementsAre(11, 12, 13, 21, 22, 23));
  EXPECT_THAT(Folding("Sub", {row, row}).Values(), ElementsAre(0, 0, 0));
  EXPECT_THAT(Folding("Div", {column, row}).Values(), ElementsAre(10, 5, 3, 20, 10, 6));
  EXPECT_THAT(Folding("Max", {column, row}).Values(), ElementsAre(10, 10, 10, 20, 20, 20));
  EXPECT_THAT(Folding("Less", {row, Ints({}, {2})}).Values(), ElementsAre(1, 0, 0));
  EXPECT_FALSE(Folding("Add", {Ints({2}, {1, 2}), row}).Run().ok());
}

TEST(Fold, IntegerArithmeticIsDefinedEverywhere) {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  const ConstantPtr minus_one = Ints({}, {-1});
  EXPECT_EQ(LoadIntegers(**Folding("Div", {Ints({}, {kMin}), minus_one}).Run())[0], kMin);
  EXPECT_EQ(LoadIntegers(**Folding("Mod", {Ints({}, {kMin}), minus_one}).Run())[0], 0);
  EXPECT_EQ(LoadIntegers(**Folding("Neg", {Ints({}, {kMin})}).Run())[0], kMin);
  EXPECT_EQ(LoadIntegers(**Folding("Mod", {Ints({}, {-7}), Ints({}, {3})}).Run())[0], 2);
  EXPECT_EQ(LoadIntegers(**Folding("Pow", {Ints({}, {3}), Ints({}, {4})}).Run())[0], 81);
  EXPECT_FALSE(Folding("Div", {minus_one, Ints({}, {0})}).Run().ok());
}

TEST(Fold, MovesElements) {
  const ConstantPtr x = Ints({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_THAT(Folding("Transpose", {x}).Values(), ElementsAre(1, 4, 2, 5, 3, 6));
  Folding gather("Gather", {x, Ints({2}, {-1, 0})});
  SetInt(gather.proto(), "axis", 1);
  EXPECT_THAT(gather.Values(), ElementsAre(3, 1, 6, 4));
  Folding concat("Concat", {x, Ints({2, 1}, {7, 8})});
  SetInt(concat.proto(), "axis", 1);
  EXPECT_THAT(concat.Values(), ElementsAre(1, 2, 3, 7, 4, 5, 6, 8));
  EXPECT_THAT(Folding("Expand", {Ints({2, 1}, {1, 2}), Ints({2}, {1, 2})}).Values(),
              ElementsAre(1, 1, 2, 2));
  EXPECT_THAT(Folding("Tile", {Ints({2}, {1, 2}), Ints({1}, {2})}).Values(),
              ElementsAre(1, 2, 1, 2));
}

TEST(Fold, SlicesAsNumpy) {
  const ConstantPtr x = Ints({5}, {0, 1, 2, 3, 4});
  const auto slice = [&](int64_t start, int64_t end, int64_t step) {
    return Folding("Slice",
                   {x, Ints({1}, {start}), Ints({1}, {end}), Ints({1}, {0}), Ints({1}, {step})})
        .Values();
  };
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  EXPECT_THAT(slice(1, 3, 1), ElementsAre(1, 2));
  EXPECT_THAT(slice(-2, kMax, 1), ElementsAre(3, 4));
  EXPECT_THAT(slice(-1, kMin, -1), ElementsAre(4, 3, 2, 1, 0));
  EXPECT_THAT(slice(kMax, kMin, -2), ElementsAre(4, 2, 0));
  EXPECT_THAT(slice(3, 1, -1), ElementsAre(3, 2));
  EXPECT_THAT(slice(0, 5, 3), ElementsAre(0, 3));
  EXPECT_THAT(slice(3, 3, 1), ElementsAre());
  EXPECT_THAT(slice(0, 5, kMin), ElementsAre());
}

TEST(Fold, Reduces) {
  const ConstantPtr x = Ints({2, 3}, {1, 2, 3, 4, 5, 6});
  Folding sum("ReduceSum", {x, Ints({1}, {-1})});
  EXPECT_THAT(sum.Values(), ElementsAre(6, 15));
  Folding prod("ReduceProd", {x});
  EXPECT_THAT(prod.Values(), ElementsAre(720));
  Folding low("ReduceMin", {x});
  SetInts(low.proto(), "axes", {0});
  SetInt(low.proto(), "keepdims", 0);
  EXPECT_EQ((*low.Run())->shape, Shape({3}));
  EXPECT_THAT(low.Values(), ElementsAre(1, 2, 3));
}

TEST(Fold, CastsAndChooses) {
  Folding cast("Cast", {MakeFloatConstant("f", {3}, {1.9F, -1.9F, std::nanf("")})});
  SetInt(cast.proto(), "to", onnx::TensorProto::INT64);
  EXPECT_THAT(LoadIntegers(**cast.Run()), ElementsAre(1, -1, 0));
  EXPECT_THAT(Folding("Where", {StoreIntegers(DType::kBool, {2}, std::vector<int64_t>{1, 0}),
                                Ints({2}, {1, 2}), Ints({}, {9})})
                  .Values(),
              ElementsAre(1, 9));
  EXPECT_THAT(Folding("Range", {Ints({}, {5}), Ints({}, {0}), Ints({}, {-2})}).Values(),
              ElementsAre(5, 3, 1));
  EXPECT_FALSE(Folding("Range", {Ints({}, {5}), Ints({}, {0}), Ints({}, {0})}).Run().ok());
}

TEST(Fold, SmallFilesCannotAskForMuchMemory) {
  Folding fill("ConstantOfShape", {Ints({2}, {1 << 20, 1 << 20})});
  const FoldResult result = fill.Run();
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message, HasSubstr("more memory than the model warrants"));
  EXPECT_FALSE(Folding("ConstantOfShape", {Ints({1}, {-3})}).Run().ok());
}

TEST(Fold, HalfPrecisionRoundTrips) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const bool nan = (half & 0x7C00U) == 0x7C00U && (half & 0x3FFU) != 0;
    if (nan) continue;
    ASSERT_EQ(FloatToHalf(HalfToFloat(half)), half) << bits;
  }
  EXPECT_EQ(FloatToHalf(65519.0F), 0x7BFF);
  EXPECT_EQ(FloatToHalf(65520.0F), 0x7C00);
  EXPECT_EQ(FloatToHalf(1.0F + 1.0F / 2048), 0x3C00) << "ties to even";
}

}  // namespace
}  // namespace coracle::import
