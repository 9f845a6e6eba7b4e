#include "compile/weight_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "compile/networks_for_test.h"
#include "vision/npy.h"
#include "vision/test_files.h"

namespace coracle::compile {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kWidth = 128;

/// Fully connected layers one behind the other, all of which int8 makes faster.
CompiledModel Chain(uint32_t layers) {
  passes::GraphForTest b;
  graph::TensorIndex last = b.Input({1, kWidth});
  for (uint32_t i = 0; i < layers; ++i) last = b.Dense(last, kWidth);
  b.Output(last);
  CompiledModel model;
  model.graph = Lowered(b);
  for (graph::Node& node : model.graph.nodes) node.weights = {};
  auto quantized = passes::ChooseWeightTypes(model.graph, passes::WeightChoice::kAuto, 1e9);
  CORACLE_CHECK(quantized.ok());
  model.quantized = std::move(*quantized);
  CutWeights(model.graph);
  return model;
}

void WriteInputs(const vision::ScratchFolder& folder, int count) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, 1);
  for (int i = 0; i < count; ++i) {
    auto writer = vision::NpyWriter::Create(folder.At(std::to_string(i) + ".npy"), {1, kWidth});
    ASSERT_TRUE(writer.ok());
    std::vector<float> values(kWidth);
    for (float& value : values) value = normal(random);
    ASSERT_TRUE(writer->Append(values).ok());
    ASSERT_TRUE(writer->Finish().ok());
  }
}

size_t QuantizedCount(const graph::Graph& graph) {
  size_t count = 0;
  for (const graph::Node& node : graph.nodes) {
    count += node.weight_type == graph::WeightType::kInt8 ? 1 : 0;
  }
  return count;
}

TEST(KeepWithinError, KeepsAsManyLayersAsTheErrorAllows) {
  const vision::ScratchFolder folder;
  WriteInputs(folder, 3);
  size_t before = 0;
  for (const double most : {0.0, 0.012, 0.02, 1.0}) {
    CompiledModel model = Chain(8);
    ASSERT_EQ(model.quantized.size(), 8U);
    uint64_t done = 0;
    uint64_t total = 0;
    const auto error =
        KeepWithinError(model, most, folder.At(""), "", [&](uint64_t now, uint64_t all) {
          EXPECT_EQ(now, done + 1);
          done = now;
          total = all;
        });
    ASSERT_TRUE(error.ok()) << error.error().message;
    EXPECT_LE(*error, most);
    EXPECT_EQ(*error == 0, model.quantized.empty());
    EXPECT_LE(done, total);
    EXPECT_EQ(QuantizedCount(model.graph), model.quantized.size());
    EXPECT_GE(model.quantized.size(), before);
    before = model.quantized.size();
  }
  EXPECT_EQ(before, 8U);
}

TEST(KeepWithinError, NeedsInputs) {
  const vision::ScratchFolder folder;
  CompiledModel model = Chain(1);
  const auto error = KeepWithinError(model, 0.1, folder.At(""), "", nullptr);
  ASSERT_FALSE(error.ok());
}

}  // namespace
}  // namespace coracle::compile
