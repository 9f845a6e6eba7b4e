// The activation functions of every SIMD set against float64.
#include <cmath>
#include <limits>

#include "base/index.h"
#include "gtest/gtest.h"
#include "kernels/kernel.h"
#include "kernels/reference/activation.h"

namespace coracle::kernels {
namespace {

using graph::Activation;
using graph::ActivationKind;

std::vector<float> RunUnary(const KernelSet& set, const Activation& activation,
                            std::vector<float> values) {
  graph::Graph graph;
  graph.stage = graph::Stage::kRows;
  const auto count = static_cast<uint32_t>(values.size());
  const auto tensor = graph.AddTensor("x", {1, count});
  graph::Node node;
  node.attrs = graph::Unary{};
  node.inputs = {tensor};
  node.output = tensor;
  node.activation = activation;
  const Rows rows{.base = values.data(),
                  .row_stride = count,
                  .pixel_stride = count,
                  .rows = 1,
                  .pixels = 1,
                  .channels = count};
  const Image image{.inputs = {&rows, 1}, .output = rows};
  set.rows[Position(graph::OpKind::kUnary)]({&graph, &node, {&image, 1}, nullptr, {}}, {0, 1});
  return values;
}

struct Accuracy {
  Activation activation;
  float low, high;
  double relative = 2.5e-7;
  double absolute = 0;
};

void ExpectAccurate(const KernelSet& set, const Accuracy& want) {
  std::vector<float> values;
  constexpr int kSteps = 20'011;
  for (int i = 0; i < kSteps; ++i) {
    values.push_back(want.low + (want.high - want.low) * static_cast<float>(i) / kSteps);
  }
  const std::vector<float> got = RunUnary(set, want.activation, values);
  double worst = 0;
  float worst_at = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double expected = reference::Activate(want.activation, values[i]);
    const double error = std::abs(got[i] - expected);
    const double allowed = want.relative * std::abs(expected) + want.absolute;
    if (error > allowed && error / allowed > worst) {
      worst = error / allowed;
      worst_at = values[i];
    }
  }
  EXPECT_LE(worst, 1) << set.name << " " << ActivationName(want.activation.kind) << " at "
                      << worst_at;
}

TEST(Unary, IsAccurate) {
  const std::vector<Accuracy> all{
      {{ActivationKind::kNone}, -9, 9, 0},
      {{ActivationKind::kRelu}, -9, 9, 0},
      {{ActivationKind::kLeakyRelu, 0.1F}, -9, 9, 0},
      {{ActivationKind::kClip, -1, 6}, -9, 9, 0},
      {{ActivationKind::kSigmoid}, -80, 80},
      {{ActivationKind::kHardSigmoid, 0.2F, 0.5F}, -9, 9, 2.5e-7, 1e-7},
      {{ActivationKind::kHardSwish, 1 / 6.0F, 0.5F}, -9, 9, 2.5e-7, 1e-6},
      {{ActivationKind::kSwish, 1}, -80, 80, 4e-7},
      {{ActivationKind::kSwish, 1.702F}, -20, 20, 2e-6},
      {{ActivationKind::kTanh}, -20, 20},
      {{ActivationKind::kTanh}, -0.01F, 0.01F},
      {{ActivationKind::kExp}, -87, 88},
      {{ActivationKind::kExp}, -1, 1},
      {{ActivationKind::kSqrt}, 0, 100},
      {{ActivationKind::kErf}, -5, 5},
      {{ActivationKind::kErf}, -0.01F, 0.01F},
      {{ActivationKind::kGelu}, -9, 9, 3e-7, 4e-7},
      {{ActivationKind::kAbs}, -9, 9, 0},
      {{ActivationKind::kNeg}, -9, 9, 0},
      {{ActivationKind::kReciprocal}, 0.1F, 9},
      {{ActivationKind::kLog}, 1e-6F, 4},
      {{ActivationKind::kLog}, 0.9F, 1.1F},
      {{ActivationKind::kLog}, 1, 1e30F},
      {{ActivationKind::kElu, 1}, -20, 5},
      {{ActivationKind::kElu, 1}, -0.01F, 0.01F},
      {{ActivationKind::kSoftplus}, -60, 60, 4e-7},
      {{ActivationKind::kMish}, -60, 60, 6e-7},
      {{ActivationKind::kFloor}, -9, 9, 0},
      {{ActivationKind::kCeil}, -9, 9, 0},
  };
  for (const KernelSet* set : AllSimdKernels()) {
    for (const Accuracy& want : all) ExpectAccurate(*set, want);
  }
}

TEST(Unary, HandlesTheEndsOfTheRange) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const KernelSet* set : AllSimdKernels()) {
    const auto one = [set](ActivationKind kind, float x) { return RunUnary(*set, {kind}, {x})[0]; };
    EXPECT_EQ(one(ActivationKind::kExp, 100), kInfinity);
    EXPECT_EQ(one(ActivationKind::kExp, kInfinity), kInfinity);
    EXPECT_EQ(one(ActivationKind::kExp, -200), 0);
    EXPECT_TRUE(std::isnan(one(ActivationKind::kExp, nan)));
    EXPECT_EQ(one(ActivationKind::kSigmoid, 1000), 1);
    EXPECT_EQ(one(ActivationKind::kSigmoid, -1000), 0);
    EXPECT_EQ(one(ActivationKind::kTanh, 1000), 1);
    EXPECT_EQ(one(ActivationKind::kTanh, -1000), -1);
    EXPECT_EQ(one(ActivationKind::kErf, kInfinity), 1);
    EXPECT_EQ(one(ActivationKind::kErf, -kInfinity), -1);
    EXPECT_EQ(one(ActivationKind::kLog, 0), -kInfinity);
    EXPECT_EQ(one(ActivationKind::kLog, kInfinity), kInfinity);
    EXPECT_TRUE(std::isnan(one(ActivationKind::kLog, -1)));
    EXPECT_EQ(one(ActivationKind::kSoftplus, 500), 500);
    EXPECT_EQ(one(ActivationKind::kMish, 500), 500);
  }
}

TEST(Unary, TakesEveryLength) {
  for (const KernelSet* set : AllSimdKernels()) {
    for (size_t count = 1; count < 70; ++count) {
      const std::vector<float> got =
          RunUnary(*set, {ActivationKind::kNeg}, std::vector<float>(count, 1));
      EXPECT_EQ(got, std::vector<float>(count, -1)) << set->name << " " << count;
    }
  }
}

}  // namespace
}  // namespace coracle::kernels
