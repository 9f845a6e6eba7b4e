#include "compile/calibration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "compile/networks_for_test.h"
#include "vision/npy.h"
#include "vision/test_files.h"

namespace coracle::compile {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

void WriteNpy(const vision::ScratchFolder& folder, std::string_view name, const Shape& shape,
              const std::vector<float>& values) {
  auto writer = vision::NpyWriter::Create(folder.At(name), shape);
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(writer->Append(values).ok());
  ASSERT_TRUE(writer->Finish().ok());
}

/// in [1, 2] -> doubled -> negated.
graph::Graph TwoUnaries() {
  passes::GraphForTest b;
  const auto doubled = b.Scalar(graph::BinaryKind::kMul, b.Input({1, 2}), 2);
  b.Output(b.Unary(doubled, graph::ActivationKind::kTanh));
  return Lowered(b);
}

TEST(Calibrate, SeesEveryTensorOfEveryInput) {
  const graph::Graph graph = TwoUnaries();
  const vision::ScratchFolder folder;
  WriteNpy(folder, "a.npy", {1, 2}, {1, -2});
  WriteNpy(folder, "b.npy", {1, 2}, {3, 1});
  const auto inputs = CalibrationInputs::Find(folder.At(""), "", graph);
  ASSERT_TRUE(inputs.ok()) << inputs.error().message;
  EXPECT_EQ(inputs->count(), 2U);
  uint64_t last = 0;
  const auto seen = Calibrate(graph, *inputs, RangeMethod::kMinMax,
                              [&](uint64_t done, uint64_t) { last = done; });
  ASSERT_TRUE(seen.ok()) << seen.error().message;
  EXPECT_EQ(last, 2U);
  const TensorSummary& in = seen->at(Position(graph.inputs[0].tensor));
  EXPECT_EQ(in.range, (ValueRange{-2, 3}));
  EXPECT_THAT(in.means, ElementsAre(2, -0.5F));
  EXPECT_THAT(in.largest, ElementsAre(3, 2));
  const TensorSummary& out = seen->at(Position(graph.outputs[0].tensor));
  EXPECT_LT(out.range.least, -0.9F);
  EXPECT_GT(out.range.largest, 0.9F);
}

TEST(Calibrate, SaysWhichFileAndTensorAreNotFinite) {
  const graph::Graph graph = TwoUnaries();
  const vision::ScratchFolder folder;
  WriteNpy(folder, "a.npy", {1, 2}, {1, 2});
  WriteNpy(folder, "b.npy", {1, 2}, {1, std::numeric_limits<float>::infinity()});
  const auto inputs = CalibrationInputs::Find(folder.At(""), "", graph);
  ASSERT_TRUE(inputs.ok());
  const auto seen = Calibrate(graph, *inputs, RangeMethod::kPercentile, nullptr);
  ASSERT_FALSE(seen.ok());
  EXPECT_THAT(seen.error().message, HasSubstr("b.npy"));
  EXPECT_THAT(seen.error().message, HasSubstr("'in0'"));
}

TEST(Calibrate, TakesNoIntegers) {
  graph::Graph graph = TwoUnaries();
  const vision::ScratchFolder folder;
  WriteNpy(folder, "a.npy", {1, 2}, {1, 2});
  const auto inputs = CalibrationInputs::Find(folder.At(""), "", graph);
  ASSERT_TRUE(inputs.ok());
  graph.tensor(graph.nodes[0].output).dtype = DType::kUint8;
  const auto seen = Calibrate(graph, *inputs, RangeMethod::kMinMax, nullptr);
  ASSERT_FALSE(seen.ok());
  EXPECT_THAT(seen.error().message, HasSubstr("integers already"));
}

TEST(CalibrationInputs, AreOfOneInputAndItsShape) {
  const vision::ScratchFolder folder;
  WriteNpy(folder, "a.npy", {1, 3}, {1, 2, 3});
  const auto inputs = CalibrationInputs::Find(folder.At(""), "", TwoUnaries());
  ASSERT_TRUE(inputs.ok());
  const auto values = inputs->Read(0);
  ASSERT_FALSE(values.ok());
  EXPECT_THAT(values.error().message, HasSubstr("takes 1x2"));
  passes::GraphForTest b;
  b.Output(b.Binary(graph::BinaryKind::kAdd, b.Input({1, 2}), b.Input({1, 2})));
  const auto two = CalibrationInputs::Find(folder.At(""), "", Lowered(b));
  ASSERT_FALSE(two.ok());
  EXPECT_THAT(two.error().message, HasSubstr("2 inputs"));
}

}  // namespace
}  // namespace coracle::compile
