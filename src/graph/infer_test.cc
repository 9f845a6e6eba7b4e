#include "graph/infer.h"

#include <gtest/gtest.h>

namespace coracle::graph {
namespace {

Result<Shape> Infer(Attributes attrs, std::vector<Shape> inputs, Stage stage = Stage::kLogical,
                    Shape declared = {}) {
  Node node;
  node.name = "layer";
  node.attrs = std::move(attrs);
  return InferShape(node, inputs, stage, declared);
}

void ExpectShape(const Result<Shape>& result, const Shape& expected) {
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->ToString(), expected.ToString());
}

void ExpectRefused(const Result<Shape>& result) {
  ASSERT_FALSE(result.ok()) << result->ToString();
  EXPECT_EQ(result.error().code, Code::kInvalidArgument);
  EXPECT_NE(result.error().message.find("'layer'"), std::string::npos) << result.error().message;
}

Window Square(uint32_t kernel, uint32_t stride, uint32_t pad) {
  return {kernel, kernel, stride, stride, 1, 1, pad, pad, pad, pad};
}

TEST(InferShape, ConvInBothStages) {
  const Conv conv{Square(7, 2, 3), 1, 64};
  ExpectShape(Infer(conv, {{1, 3, 224, 224}}), {1, 64, 112, 112});
  ExpectShape(Infer(conv, {{1, 224, 224, 3}}, Stage::kRows), {1, 112, 112, 64});
}

TEST(InferShape, ConvWithDilationGroupsAndUnevenPads) {
  const Window window{3, 1, 1, 2, 2, 1, 0, 1, 4, 0};
  ExpectShape(Infer(Conv{window, 2, 6}, {{2, 4, 9, 8}}), {2, 6, 9, 5});
}

TEST(InferShape, ConvRefusesWhatDoesNotFit) {
  ExpectRefused(Infer(Conv{Square(3, 1, 0), 1, 8}, {{1, 3, 2, 9}}));
  ExpectRefused(Infer(Conv{Square(3, 1, 1), 2, 8}, {{1, 3, 9, 9}}));
  ExpectRefused(Infer(Conv{Square(3, 1, 1), 0, 8}, {{1, 3, 9, 9}}));
  ExpectRefused(Infer(Conv{Square(3, 0, 1), 1, 8}, {{1, 3, 9, 9}}));
  ExpectRefused(Infer(Conv{Square(256, 1, 200), 1, 8}, {{1, 3, 9, 9}}));
  ExpectRefused(Infer(Conv{Square(3, 1, 1), 1, 8}, {{3, 9, 9}}));
  ExpectRefused(Infer(Conv{Square(3, 1, 1), 1, 8}, {{1, 3, 9, 9}, {1, 3, 9, 9}}));
}

TEST(InferShape, ConvTranspose) {
  ExpectShape(Infer(ConvTranspose{Square(2, 2, 0), 1, 24}, {{1, 96, 80, 80}}), {1, 24, 160, 160});
  ExpectShape(Infer(ConvTranspose{Square(3, 2, 1), 1, 8, 1, 0}, {{1, 4, 5, 5}}), {1, 8, 10, 9});
  ExpectRefused(Infer(ConvTranspose{Square(1, 1, 3), 1, 8}, {{1, 4, 5, 5}}));
}

TEST(InferShape, PoolTakesFloorOrCeilMode) {
  const Pool pool{PoolKind::kMax, PadCounting::kExcludePad, Square(3, 2, 0)};
  ExpectShape(Infer(pool, {{1, 8, 8, 8}}), {1, 8, 3, 3});
  ExpectShape(Infer(pool, {{1, 8, 8, 8}}, Stage::kLogical, {1, 8, 4, 4}), {1, 8, 4, 4});
  // Nine rows end with a whole window: ceil mode adds none.
  ExpectShape(Infer(pool, {{1, 8, 9, 9}}, Stage::kLogical, {1, 8, 5, 5}), {1, 8, 4, 4});
  ExpectRefused(
      Infer(Pool{PoolKind::kMax, PadCounting::kExcludePad, Square(2, 1, 2)}, {{1, 8, 8, 8}}));
}

TEST(InferShape, DenseAndMatMul) {
  ExpectShape(Infer(Dense{10}, {{4, 7, 3}}), {4, 7, 10});
  ExpectRefused(Infer(Dense{0}, {{4, 7}}));
  ExpectShape(Infer(MatMul{}, {{1, 8, 5, 3}, {1, 1, 3, 6}}), {1, 8, 5, 6});
  ExpectShape(Infer(MatMul{TransposeB::kYes, 1}, {{5, 3}, {2, 6, 3}}), {2, 5, 6});
  ExpectRefused(Infer(MatMul{TransposeB::kYes, 1}, {{5, 3}, {2, 6, 3}}, Stage::kRows));
  ExpectRefused(Infer(MatMul{}, {{5, 3}, {5, 3}}));
}

TEST(InferShape, ReduceKeepsAxesAndRowsRestrictsThem) {
  ExpectShape(Infer(Reduce{ReduceKind::kMean, {2, 3}}, {{1, 8, 7, 7}}), {1, 8, 1, 1});
  ExpectShape(Infer(Reduce{ReduceKind::kMean, {1, 2}}, {{1, 7, 7, 8}}, Stage::kRows), {1, 1, 1, 8});
  ExpectShape(Infer(Reduce{ReduceKind::kMax, {2}}, {{1, 7, 8}}, Stage::kRows), {1, 7, 1});
  ExpectRefused(Infer(Reduce{ReduceKind::kMax, {1}}, {{1, 7, 7, 8}}, Stage::kRows));
  ExpectRefused(Infer(Reduce{ReduceKind::kMax, {}}, {{1, 7}}));
  ExpectRefused(Infer(Reduce{ReduceKind::kMax, {1, 1}}, {{1, 7}}));
  ExpectRefused(Infer(Reduce{ReduceKind::kMax, {2}}, {{1, 7}}));
}

TEST(InferShape, BinaryBroadcasts) {
  const Binary add{BinaryKind::kAdd, Operands::kTensors, {}};
  ExpectShape(Infer(add, {{4, 1, 3}, {5, 1}}), {4, 5, 3});
  ExpectRefused(Infer(add, {{4, 2}, {4, 3}}));
  ExpectRefused(Infer(add, {{4, 2}}));
  ExpectShape(Infer(Binary{BinaryKind::kSub, Operands::kConstantLeft, {2}}, {{4, 1}}), {4, 2});
  ExpectRefused(Infer(Binary{BinaryKind::kSub, Operands::kConstantLeft, {0}}, {{4, 1}}));
}

TEST(InferShape, SoftmaxOverTheLastAxisInRows) {
  ExpectShape(Infer(Softmax{1}, {{2, 3, 4}}), {2, 3, 4});
  ExpectRefused(Infer(Softmax{1}, {{2, 3, 4}}, Stage::kRows));
  ExpectRefused(Infer(Softmax{3}, {{2, 3, 4}}));
}

TEST(InferShape, ResizeChecksTheDeclaredSize) {
  Resize resize;
  resize.scale_h = 2;
  resize.scale_w = 3;
  ExpectShape(Infer(resize, {{1, 4, 5, 6}}, Stage::kLogical, {1, 4, 10, 18}), {1, 4, 10, 18});
  ExpectRefused(Infer(resize, {{1, 4, 5, 6}}, Stage::kLogical, {1, 4, 14, 18}));
  resize.scale_h = -1;
  ExpectRefused(Infer(resize, {{1, 4, 5, 6}}, Stage::kLogical, {1, 4, 10, 18}));
}

TEST(InferShape, SliceStaysInside) {
  const Slice back{{4, 0}, {-2, 1}};
  ExpectShape(Infer(back, {{5, 2}}, Stage::kLogical, {3, 2}), {3, 2});
  ExpectRefused(Infer(back, {{5, 2}}, Stage::kLogical, {4, 2}));
  ExpectRefused(Infer(Slice{{5, 0}, {1, 1}}, {{5, 2}}, Stage::kLogical, {1, 2}));
  ExpectRefused(Infer(Slice{{0, 0}, {0, 1}}, {{5, 2}}, Stage::kLogical, {1, 2}));
  ExpectRefused(Infer(Slice{{0}, {1}}, {{5, 2}}, Stage::kLogical, {1, 2}));
  ExpectRefused(Infer(Slice{{0, 0}, {INT64_MAX, 1}}, {{5, 2}}, Stage::kLogical, {2, 2}));
}

TEST(InferShape, ConcatTransposeReshapePad) {
  ExpectShape(Infer(Concat{1}, {{1, 2, 3}, {1, 5, 3}}), {1, 7, 3});
  ExpectRefused(Infer(Concat{1}, {{1, 2, 3}, {1, 5, 4}}));
  ExpectRefused(Infer(Concat{1}, {}));
  ExpectShape(Infer(Transpose{{2, 0, 1}}, {{4, 5, 6}}), {6, 4, 5});
  ExpectRefused(Infer(Transpose{{2, 2, 1}}, {{4, 5, 6}}));
  ExpectShape(Infer(Reshape{}, {{4, 6}}, Stage::kLogical, {3, 8}), {3, 8});
  ExpectRefused(Infer(Reshape{}, {{4, 6}}, Stage::kLogical, {3, 7}));
  ExpectShape(Infer(Pad{PadMode::kReflect, 0, {0, 2}, {0, 1}}, {{4, 3}}), {4, 6});
  ExpectRefused(Infer(Pad{PadMode::kReflect, 0, {0, 3}, {0, 1}}, {{4, 3}}));
}

TEST(InferShape, DarknetLayers) {
  ExpectShape(Infer(Reorg{2}, {{1, 64, 26, 26}}), {1, 256, 13, 13});
  ExpectRefused(Infer(Reorg{2}, {{1, 64, 13, 26}}));
  const DetectionHead head{DetectionHeadKind::kYolo, 3, 80, 0};
  ExpectShape(Infer(head, {{1, 13, 13, 255}}, Stage::kRows), {1, 13, 13, 255});
  ExpectRefused(Infer(head, {{1, 254, 13, 13}}));
}

TEST(InferShape, RefusesHugeOrEmptyInputs) {
  ExpectRefused(Infer(Unary{}, {{1U << 24, 1U << 24, 1U << 24}}));
  ExpectRefused(Infer(Unary{}, {{4, 0}}));
}

TEST(InferShape, RangesBelongToImages) {
  const auto by_range = [](Attributes attrs, std::vector<Shape> inputs) {
    return Infer(std::move(attrs), std::move(inputs));
  };
  const Quantize dynamic{{}, QuantizationSource::kTensor};
  ExpectShape(by_range(QuantizationRange{}, {{3, 4, 5, 5}}), {3, 1, 2});
  ExpectShape(by_range(QuantizationRange{}, {{7, 5}}), {1, 1, 2});
  ExpectShape(Infer(RowExtremes{}, {{3, 4, 5, 5}}, Stage::kRows), {3, 4, 2});
  ExpectShape(Infer(QuantizationRange{}, {{3, 4, 2}}, Stage::kRows), {3, 1, 2});
  ExpectRefused(Infer(QuantizationRange{}, {{3, 4, 5, 5}}, Stage::kRows));
  ExpectRefused(Infer(RowExtremes{}, {{3, 4, 5, 5}}));
  ExpectShape(by_range(dynamic, {{3, 4, 5, 5}, {3, 1, 2}}), {3, 4, 5, 5});
  ExpectShape(by_range(dynamic, {{7, 5}, {1, 1, 2}}), {7, 5});
  ExpectRefused(by_range(dynamic, {{3, 4, 5, 5}, {1, 1, 2}}));
  ExpectRefused(by_range(dynamic, {{3, 4, 5, 5}}));
  ExpectRefused(by_range(Quantize{{0.5F, 3}, QuantizationSource::kTensor}, {{7, 5}, {1, 1, 2}}));
  ExpectRefused(by_range(Quantize{{0, 3}}, {{7, 5}}));
  ExpectRefused(by_range(Dequantize{{-1, 3}}, {{7, 5}}));
  ExpectShape(by_range(QuantizedAdd{}, {{7, 5}, {7, 5}}), {7, 5});
  ExpectRefused(by_range(QuantizedAdd{}, {{7, 5}, {1, 5}}));
}

Result<DType> InferType(Attributes attrs, std::vector<DType> inputs,
                        WeightType weights = WeightType::kFloat32,
                        DType declared = DType::kFloat32) {
  Node node;
  node.attrs = std::move(attrs);
  node.weight_type = weights;
  return InferDType(node, inputs, declared);
}

TEST(InferDType, IntegersPassThroughMoves) {
  constexpr DType kFloat = DType::kFloat32;
  constexpr DType kSmall = DType::kUint8;
  for (const DType dtype : {kFloat, kSmall}) {
    EXPECT_EQ(*InferType(Concat{}, {dtype, dtype}), dtype);
    EXPECT_EQ(*InferType(Reshape{}, {dtype}), dtype);
    EXPECT_EQ(*InferType(Pool{}, {dtype}), dtype);
    EXPECT_EQ(*InferType(Resize{}, {dtype}), dtype);
  }
  EXPECT_FALSE(InferType(Concat{}, {kFloat, kSmall}).ok());
  EXPECT_FALSE(InferType(Pool{PoolKind::kAverage, PadCounting::kExcludePad, {}}, {kSmall}).ok());
  EXPECT_FALSE(InferType(Resize{.mode = ResizeMode::kLinear}, {kSmall}).ok());
  EXPECT_FALSE(InferType(Unary{}, {kSmall}).ok());
  EXPECT_FALSE(InferType(Binary{}, {kFloat, kSmall}).ok());
}

TEST(InferDType, OnlySomeMakeAndTakeIntegers) {
  constexpr DType kFloat = DType::kFloat32;
  constexpr DType kSmall = DType::kUint8;
  EXPECT_EQ(*InferType(Quantize{}, {kFloat}), kSmall);
  EXPECT_EQ(*InferType(Dequantize{}, {kSmall, kFloat}), kFloat);
  EXPECT_EQ(*InferType(QuantizedAdd{}, {kSmall, kSmall}), kSmall);
  EXPECT_FALSE(InferType(Quantize{}, {kSmall}).ok());
  EXPECT_FALSE(InferType(Dequantize{}, {kFloat}).ok());
  EXPECT_FALSE(InferType(QuantizedAdd{}, {kSmall, kFloat}).ok());
  EXPECT_FALSE(InferType(Dense{}, {kSmall}).ok());
  for (const DType declared : {kFloat, kSmall}) {
    EXPECT_EQ(*InferType(Dense{}, {kSmall}, WeightType::kDot8, declared), declared);
  }
  EXPECT_EQ(*InferType(Conv{}, {kSmall, kFloat}, WeightType::kDot8), kFloat);
  EXPECT_FALSE(InferType(Conv{}, {kFloat}, WeightType::kDot8).ok());
  EXPECT_FALSE(InferType(Conv{}, {kSmall}, WeightType::kDot8, DType::kInt8).ok());
  EXPECT_EQ(*InferType(Conv{}, {kFloat}, WeightType::kInt4), kFloat);
}

TEST(RowsOf, FollowsTheRank) {
  const RowShape image = RowsOf({2, 5, 6, 7});
  EXPECT_EQ(image.images, 2U);
  EXPECT_EQ(image.rows, 5U);
  EXPECT_EQ(image.pixels, 6U);
  EXPECT_EQ(image.channels, 7U);
  EXPECT_EQ(RowsOf({2, 5, 7}).rows, 5U);
  EXPECT_EQ(RowsOf({5, 7}).rows, 5U);
  EXPECT_EQ(RowsOf({7}).rows, 1U);
  EXPECT_EQ(RowsOf({2, 5, 3, 4, 7}).pixels, 12U);
}

TEST(InferShape, RecurrenceGivesItsStates) {
  const Recurrence lstm{.cell = CellKind::kLstm, .hidden = 5};
  for (const Stage stage : {Stage::kLogical, Stage::kRows}) {
    ExpectShape(Infer(lstm, {{2, 7, 20}}, stage), {2, 7, 10});
    ExpectShape(Infer(Recurrence{.cell = CellKind::kGru, .hidden = 5}, {{2, 7, 15}}, stage),
                {2, 7, 5});
    ExpectShape(Infer(Recurrence{.cell = CellKind::kElman, .hidden = 5}, {{2, 7, 5}}, stage),
                {2, 7, 5});
  }
  Recurrence given = lstm;
  given.initial = InitialState::kTensors;
  ExpectShape(Infer(given, {{2, 7, 20}, {2, 1, 5}, {2, 1, 5}}), {2, 7, 10});
  ExpectRefused(Infer(given, {{2, 7, 20}, {2, 1, 5}}));
  ExpectRefused(Infer(given, {{2, 7, 20}, {2, 1, 5}, {1, 1, 5}}));
  ExpectRefused(Infer(lstm, {{2, 7, 20}, {2, 1, 5}, {2, 1, 5}}));
  ExpectRefused(Infer(lstm, {{2, 7, 19}}));
  ExpectRefused(Infer(lstm, {{1, 2, 7, 20}}));
  ExpectRefused(Infer(Recurrence{.hidden = 0}, {{2, 7, 20}}));
  ExpectRefused(Infer(Recurrence{.hidden = 1U << 31}, {{2, 7, 20}}));
  ExpectRefused(Infer(Recurrence{.hidden = 5, .clip = -1}, {{2, 7, 20}}));
}

TEST(InferShape, AttentionTakesTokensByStage) {
  Attention attention;
  ExpectShape(Infer(attention, {{2, 3, 7, 8}, {2, 3, 9, 8}, {2, 3, 9, 5}}), {2, 3, 7, 5});
  ExpectShape(Infer(attention, {{2, 7, 3, 8}, {2, 9, 3, 8}, {2, 9, 3, 5}}, Stage::kRows),
              {2, 7, 3, 5});
  ExpectRefused(Infer(attention, {{2, 3, 7, 8}, {2, 3, 9, 8}, {2, 3, 8, 5}}));
  ExpectRefused(Infer(attention, {{2, 3, 7, 8}, {2, 3, 9, 6}, {2, 3, 9, 5}}));
  ExpectRefused(Infer(attention, {{2, 3, 7, 8}, {2, 1, 9, 8}, {2, 1, 9, 5}}));
  ExpectRefused(Infer(attention, {{2, 3, 7, 8}, {1, 3, 9, 8}, {1, 3, 9, 5}}));
  ExpectRefused(Infer(attention, {{3, 7, 8}, {3, 9, 8}, {3, 9, 5}}));
  attention.mask = AttentionMask::kTensor;
  const Shape q{2, 3, 7, 8};
  const Shape k{2, 3, 9, 8};
  for (const Shape& mask : {Shape{2, 3, 7, 9}, Shape{2, 1, 1, 9}, Shape{2, 3, 1, 9}}) {
    ExpectShape(Infer(attention, {q, k, k, mask}), q);
  }
  for (const Shape& mask : {Shape{1, 3, 7, 9}, Shape{2, 2, 1, 9}, Shape{2, 1, 1, 1}, Shape{7, 9}}) {
    ExpectRefused(Infer(attention, {q, k, k, mask}));
  }
  attention.mask = AttentionMask::kConstant;
  attention.mask_shape = Shape{1, 1, 7, 9};
  ExpectShape(Infer(attention, {q, k, k}), q);
  attention.mask_shape = Shape{2, 1, 7, 9};
  ExpectRefused(Infer(attention, {q, k, k}));
}

}  // namespace
}  // namespace coracle::graph
