// A node without panels, its operands, and its result by the reference kernels: for tests.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "kernels/kernel.h"

namespace coracle::kernels {

/// How a tensor lies in a test's memory.
struct TestLayout {
  uint32_t pixel_gap = 0;  ///< floats between pixels
  uint32_t row_gap = 0;    ///< floats between rows
  bool ring = false;       ///< only the rows that are needed, in a ring
};

/// Memory of one image of one tensor. Gaps hold kGap.
class TestTensor {
 public:
  static constexpr float kGap = 12345.5F;

  /// Room for rows `kept` of an image of `extent`.
  TestTensor(const graph::RowShape& extent, uint32_t rows, const TestLayout& layout, RowRange kept);

  const Rows& rows() const { return rows_; }
  /// Copies the kept rows from `dense` (all rows of the image, no gaps).
  void Fill(const std::vector<float>& dense);
  /// True if no float between pixels and rows has changed.
  bool GapsUntouched() const;

 private:
  std::vector<float> storage_;
  Rows rows_;
  RowRange kept_;
};

struct RowCase {
  graph::Graph graph;
  graph::Node node;
  /// [image][operand] and [image]: dense values.
  std::vector<std::vector<std::vector<float>>> inputs;
  std::vector<std::vector<float>> expected;
  std::vector<float> constants;

  uint32_t ImageRows(graph::TensorIndex tensor) const;
};

/// A node with nothing but these.
graph::Node NodeOf(graph::Attributes attrs, graph::Activation activation = {});

struct ValueRange {
  float low = -2;
  float high = 2;
};

/// Infers the output's shape (or takes `declared`), draws values and computes `expected`.
RowCase MakeRowCase(graph::Node node, const std::vector<Shape>& inputs, std::mt19937& random,
                    ValueRange values = {}, const Shape& declared = {});

struct RowRun {
  TestLayout input = {};
  TestLayout output = {};
  RowRange rows = {};
  bool in_place = false;  ///< over inputs[0]; all rows
};

/// Runs `set` and says what differs from `expected` ([image], dense); empty if nothing does.
std::string CompareRun(const RowCase& test, const KernelSet& set, const RowRun& run,
                       const std::vector<std::vector<float>>& expected, float tolerance);

/// Every SIMD set against `test.expected`, and each set's own bits under several layouts and row
/// ranges.
std::string CompareAll(const RowCase& test, std::mt19937& random, float tolerance);

}  // namespace coracle::kernels
