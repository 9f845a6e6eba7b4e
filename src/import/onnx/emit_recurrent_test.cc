#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "import/onnx/emit.h"
#include "import/onnx/test_model.h"

namespace coracle::import {
namespace {

using graph::OpKind;
using ::testing::HasSubstr;

constexpr int64_t kSteps = 4, kBatch = 2, kInputs = 3, kHidden = 5;

/// One layer of `gates` gates on `x`, and what its further inputs and attributes are.
class OneLayer {
 public:
  OneLayer(std::string type, int64_t gates, int64_t directions = 1)
      : type_(std::move(type)), sums_(gates * kHidden) {
    model_.Input("x", {kSteps, kBatch, kInputs});
    Add("w", {directions, sums_, kInputs});
    Add("r", {directions, sums_, kHidden});
  }

  OneLayer& Add(const std::string& name, const std::vector<int64_t>& dims, float value = 0.1F) {
    size_t count = 1;
    for (const int64_t dim : dims) count *= static_cast<size_t>(dim);
    model_.Floats(name, dims, std::vector<float>(count, value));
    inputs_.push_back(name);
    return *this;
  }
  OneLayer& Absent(int count) {
    inputs_.resize(inputs_.size() + static_cast<size_t>(count));
    return *this;
  }
  OneLayer& Lengths(const std::vector<int64_t>& values) {
    model_.Ints("lengths", values);
    inputs_.emplace_back("lengths");
    return *this;
  }
  OneLayer& Text(const std::string& name, const std::string& value) {
    auto* attribute = attributes_.add_attribute();
    attribute->set_name(name);
    attribute->set_type(onnx::AttributeProto::STRING);
    attribute->set_s(value);
    return *this;
  }
  OneLayer& Texts(const std::string& name, const std::vector<std::string>& values) {
    auto* attribute = attributes_.add_attribute();
    attribute->set_name(name);
    attribute->set_type(onnx::AttributeProto::STRINGS);
    for (const std::string& value : values) attribute->add_strings(value);
    return *this;
  }
  OneLayer& Int(const std::string& name, int64_t value) {
    auto* attribute = attributes_.add_attribute();
    attribute->set_name(name);
    attribute->set_type(onnx::AttributeProto::INT);
    attribute->set_i(value);
    return *this;
  }

  Result<ImportedModel> Import() {
    std::vector<std::string> inputs = {"x"};
    inputs.insert(inputs.end(), inputs_.begin(), inputs_.end());
    const bool lstm = type_ == "LSTM";
    auto& node = model_.Node(
        type_, inputs,
        lstm ? std::vector<std::string>{"y", "y_h", "y_c"} : std::vector<std::string>{"y", "y_h"});
    *node.mutable_attribute() = attributes_.attribute();
    model_.Output("y").Output("y_h");
    if (lstm) model_.Output("y_c");
    const std::string bytes = model_.Serialized();
    return ImportOnnxBytes(std::as_bytes(std::span(bytes.data(), bytes.size())), "", {});
  }

 private:
  TestModel model_{14};
  std::string type_;
  int64_t sums_;
  std::vector<std::string> inputs_;
  onnx::NodeProto attributes_;
};

void ExpectRefused(OneLayer layer, const std::string& why) {
  const auto result = layer.Import();
  ASSERT_FALSE(result.ok()) << why;
  EXPECT_THAT(result.error().message, HasSubstr(why));
}

std::vector<const graph::Recurrence*> CellsOf(const graph::Graph& graph) {
  std::vector<const graph::Recurrence*> cells;
  for (const graph::Node& node : graph.nodes) {
    if (const auto* cell = std::get_if<graph::Recurrence>(&node.attrs)) cells.push_back(cell);
  }
  return cells;
}

TEST(EmitRecurrent, GivesOnnxShapes) {
  const auto lstm = OneLayer("LSTM", 4, 2).Text("direction", "bidirectional").Import();
  ASSERT_TRUE(lstm.ok()) << lstm.error().message;
  EXPECT_EQ(lstm->graph.outputs[0].shape, (Shape{kSteps, 2, kBatch, kHidden}));
  EXPECT_EQ(lstm->graph.outputs[1].shape, (Shape{2, kBatch, kHidden}));
  EXPECT_EQ(lstm->graph.outputs[2].shape, (Shape{2, kBatch, kHidden}));
  const auto cells = CellsOf(lstm->graph);
  ASSERT_EQ(cells.size(), 2U);
  EXPECT_EQ(cells[0]->order, graph::TimeOrder::kForward);
  EXPECT_EQ(cells[1]->order, graph::TimeOrder::kBackward);
  EXPECT_EQ(cells[0]->initial, graph::InitialState::kZero);
  // With layout 1 the axes of x are batch and steps.
  const auto gru = OneLayer("GRU", 3).Int("layout", 1).Int("linear_before_reset", 1).Import();
  ASSERT_TRUE(gru.ok()) << gru.error().message;
  EXPECT_EQ(gru->graph.outputs[0].shape, (Shape{kSteps, kBatch, 1, kHidden}));
  EXPECT_EQ(gru->graph.outputs[1].shape, (Shape{kSteps, 1, kHidden}));
  EXPECT_EQ(CellsOf(gru->graph)[0]->cell, graph::CellKind::kGruResetAfter);
}

TEST(EmitRecurrent, TakesStatesThatAreConstantOrZero) {
  const std::vector<int64_t> state = {1, kBatch, kHidden};
  for (const float value : {0.0F, 0.5F}) {
    const auto rnn = OneLayer("RNN", 1).Absent(2).Add("h0", state, value).Import();
    ASSERT_TRUE(rnn.ok()) << rnn.error().message;
    EXPECT_EQ(CellsOf(rnn->graph)[0]->initial,
              value == 0 ? graph::InitialState::kZero : graph::InitialState::kConstant);
  }
}

TEST(EmitRecurrent, TakesWhatChangesNothing) {
  EXPECT_TRUE(OneLayer("GRU", 3).Absent(1).Lengths({kSteps, kSteps}).Import().ok());
  EXPECT_TRUE(OneLayer("LSTM", 4).Absent(4).Add("p", {1, 3 * kHidden}, 0).Import().ok());
  EXPECT_TRUE(OneLayer("GRU", 3).Texts("activations", {"sigmoid", "Tanh"}).Import().ok());
}

TEST(EmitRecurrent, RefusesTheRestClearly) {
  ExpectRefused(OneLayer("LSTM", 4).Absent(4).Add("p", {1, 3 * kHidden}), "peepholes");
  ExpectRefused(OneLayer("GRU", 3).Absent(1).Lengths({kSteps, 1}), "shorter");
  ExpectRefused(OneLayer("RNN", 1).Texts("activations", {"Relu"}), "default activations");
  ExpectRefused(OneLayer("LSTM", 4).Int("input_forget", 1), "coupled");
  ExpectRefused(OneLayer("LSTM", 4).Text("direction", "sideways"), "direction");
  ExpectRefused(OneLayer("LSTM", 3), "must be");
  ExpectRefused(OneLayer("RNN", 1).Int("hidden_size", 6), "hidden_size");
  ExpectRefused(OneLayer("RNN", 1).Text("direction", "bidirectional"), "must be");
  ExpectRefused(OneLayer("RNN", 1).Add("b", {1, kHidden}), "must be");
  ExpectRefused(OneLayer("RNN", 1).Absent(2).Add("h0", {1, kBatch, kHidden + 1}), "must be");
}

}  // namespace
}  // namespace coracle::import
