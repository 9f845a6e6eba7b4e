// Recurrence: every SIMD set against the reference, and each set's own bits in bands, rings of one
// row and convoys; the packed block against the owner's weights.
#include "kernels/recurrence.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/index.h"
#include "kernels/packing.h"
#include "kernels/row_case.h"

namespace coracle::kernels {
namespace {

using graph::CellKind;
using graph::InitialState;
using graph::TimeOrder;

constexpr CellKind kCells[] = {CellKind::kElman, CellKind::kGru, CellKind::kGruResetAfter,
                               CellKind::kLstm};

RowCase MakeCase(const graph::Recurrence& attrs, uint32_t sequences, uint32_t steps,
                 std::mt19937& random) {
  std::vector<Shape> inputs = {{sequences, steps, graph::GateCount(attrs.cell) * attrs.hidden}};
  if (attrs.initial == InitialState::kTensors) {
    inputs.resize(attrs.cell == CellKind::kLstm ? 3 : 2, Shape{sequences, 1, attrs.hidden});
  }
  // Small weights: large ones make an Elman cell chaotic, and rounding grow from step to step.
  return MakeRowCase(NodeOf(attrs), inputs, random, {-0.2F, 0.2F});
}

/// All output rows of all sequences, made `band` rows at a time in a ring of as many.
std::vector<std::vector<float>> RunInBands(const RowCase& test, const KernelSet& set,
                                           uint32_t band) {
  const Shape& in = test.graph.shape(test.node.inputs[0]);
  const Shape& out = test.graph.shape(test.node.output);
  const size_t sequences = test.inputs.size();
  std::vector<std::vector<Rows>> operands(sequences);
  std::vector<std::vector<float>> rings(sequences);
  std::vector<Image> images(sequences);
  for (size_t i = 0; i < sequences; ++i) {
    for (size_t operand = 0; operand < test.inputs[i].size(); ++operand) {
      const Shape& shape = test.graph.shape(test.node.inputs[operand]);
      operands[i].push_back({.base = const_cast<float*>(test.inputs[i][operand].data()),
                             .row_stride = shape[2],
                             .pixel_stride = shape[2],
                             .rows = shape[1],
                             .pixels = 1,
                             .channels = shape[2]});
    }
    rings[i].resize(size_t{band} * out[2]);
    images[i] = {operands[i],
                 {.base = rings[i].data(),
                  .row_stride = out[2],
                  .pixel_stride = out[2],
                  .ring_rows = band,
                  .rows = out[1],
                  .pixels = 1,
                  .channels = out[2]}};
  }
  std::vector<std::byte> storage(WorkspaceBytes(test.graph, test.node) + 64);
  void* workspace = storage.data();
  size_t space = storage.size();
  std::align(64, storage.size() - 64, workspace, space);
  std::vector<float> constants(test.constants.size() + 16);
  void* block = constants.data();
  size_t block_space = constants.size() * sizeof(float);
  std::align(64, test.constants.size() * sizeof(float), block, block_space);
  std::copy(test.constants.begin(), test.constants.end(), static_cast<float*>(block));
  std::vector<std::vector<float>> results(sequences);
  for (uint32_t begin = 0; begin < in[1]; begin += band) {
    const RowRange rows{begin, std::min(begin + band, in[1])};
    const RowArgs args{&test.graph,
                       &test.node,
                       images,
                       static_cast<const float*>(block),
                       {static_cast<std::byte*>(workspace), storage.size() - 64}};
    set.rows[Position(graph::OpKind::kRecurrence)](args, rows);
    for (size_t i = 0; i < sequences; ++i) {
      for (uint32_t y = rows.begin; y < rows.end; ++y) {
        const float* row = images[i].output.Row(y);
        results[i].insert(results[i].end(), row, row + out[2]);
      }
    }
  }
  return results;
}

void ExpectNear(const RowCase& test, const std::vector<std::vector<float>>& results,
                std::string_view set) {
  for (size_t i = 0; i < results.size(); ++i) {
    ASSERT_EQ(results[i].size(), test.expected[i].size());
    for (size_t at = 0; at < results[i].size(); ++at) {
      ASSERT_NEAR(results[i][at], test.expected[i][at], 2e-5)
          << set << " sequence " << i << " element " << at;
    }
  }
}

TEST(Recurrence, EverySetInAnyBands) {
  std::mt19937 random(5);
  const auto draw = [&random](uint32_t low, uint32_t high) {
    return std::uniform_int_distribution<uint32_t>(low, high)(random);
  };
  for (int i = 0; i < 60; ++i) {
    graph::Recurrence attrs;
    attrs.cell = kCells[i % 4];
    attrs.hidden = draw(1, i % 3 == 0 ? 150 : 40);
    attrs.order = draw(0, 1) == 0 ? TimeOrder::kForward : TimeOrder::kBackward;
    attrs.initial = static_cast<InitialState>(draw(0, 2));
    attrs.clip = draw(0, 3) == 0 ? 0.3F : 0;
    const uint32_t steps = draw(1, 9);
    const RowCase test = MakeCase(attrs, draw(1, 6), steps, random);
    std::vector<const KernelSet*> sets(AllSimdKernels().begin(), AllSimdKernels().end());
    sets.push_back(&ReferenceKernels());
    for (const KernelSet* set : sets) {
      const auto whole = RunInBands(test, *set, steps);
      ExpectNear(test, whole, set->name);
      EXPECT_EQ(RunInBands(test, *set, 1), whole) << set->name;
      EXPECT_EQ(RunInBands(test, *set, draw(1, steps)), whole) << set->name;
      if (HasFatalFailure()) return;
    }
  }
}

/// One sequence of a convoy has the bits that it has alone.
TEST(Recurrence, SequencesDoNotMeet) {
  std::mt19937 random(6);
  for (const CellKind cell : kCells) {
    const RowCase five = MakeCase({.cell = cell, .hidden = 37}, 5, 4, random);
    for (const KernelSet* set : AllSimdKernels()) {
      const auto together = RunInBands(five, *set, 4);
      for (size_t i = 0; i < 5; ++i) {
        RowCase one = five;
        one.inputs = {five.inputs[i]};
        EXPECT_EQ(RunInBands(one, *set, 2)[0], together[i]) << set->name << " " << i;
      }
    }
  }
}

/// An LSTM of one unit, by hand.
TEST(Recurrence, IsTheFormula) {
  std::mt19937 random(7);
  RowCase test = MakeCase({.cell = CellKind::kLstm, .hidden = 1}, 1, 2, random);
  const CellGeometry cell(std::get<graph::Recurrence>(test.node.attrs));
  ASSERT_EQ(cell.BlockFloats(), 128U);  // 4 gates, each padded to 16: a bias and a weight
  test.constants.assign(128, 0);
  const float bias[] = {0.1F, -0.2F, 0.3F, 0.4F};
  const float weight[] = {0.5F, 0.6F, -0.7F, 0.8F};
  for (size_t gate = 0; gate < 4; ++gate) {
    test.constants[gate * 16] = bias[gate];
    test.constants[64 + gate * 16] = weight[gate];
  }
  const auto& x = test.inputs[0][0];
  double h = 0;
  double c = 0;
  const auto result = RunInBands(test, ReferenceKernels(), 1)[0];
  for (size_t t = 0; t < 2; ++t) {
    double gates[4];
    for (size_t g = 0; g < 4; ++g) gates[g] = x[t * 4 + g] + bias[g] + weight[g] * h;
    const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
    c = sigmoid(gates[2]) * c + sigmoid(gates[0]) * std::tanh(gates[3]);
    h = sigmoid(gates[1]) * std::tanh(c);
    EXPECT_NEAR(result[t * 2], h, 1e-6);
    EXPECT_NEAR(result[t * 2 + 1], c, 1e-6);
  }
}

/// Every float of the owner's arrays is in the block exactly once, the rest is padding.
TEST(Recurrence, TheBlockHoldsEveryWeight) {
  for (const CellKind cell : kCells) {
    for (const uint32_t hidden : {1U, 16U, 37U, 64U}) {
      const graph::Recurrence attrs{
          .cell = cell, .hidden = hidden, .initial = InitialState::kConstant};
      const CellGeometry geometry(attrs);
      const uint32_t sums = geometry.gates * hidden;
      std::vector<int> bias(sums);
      std::vector<int> weights(size_t{sums} * hidden);
      std::vector<int> state(graph::StateChannels(attrs));
      for (uint64_t at = 0; at < geometry.BlockFloats(); ++at) {
        const CellGeometry::Origin origin = geometry.OriginOf(at);
        if (origin.kind == CellGeometry::Origin::kBias) ++bias.at(origin.index);
        if (origin.kind == CellGeometry::Origin::kWeight) ++weights.at(origin.index);
        if (origin.kind == CellGeometry::Origin::kState) ++state.at(origin.index);
      }
      for (const auto* counts : {&bias, &weights, &state}) {
        EXPECT_TRUE(std::all_of(counts->begin(), counts->end(), [](int n) { return n == 1; }));
      }
    }
  }
}

}  // namespace
}  // namespace coracle::kernels
