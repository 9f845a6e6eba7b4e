#include <cmath>

#include "kernels/index_map.h"
#include "kernels/reference/reference.h"

namespace coracle::kernels::reference {
namespace {

/// One element: a single FMA chain over K from zero, then the scale.
void ComputeElement(const RowArgs& args, const Image& image, uint64_t element) {
  const graph::Graph& graph = *args.graph;
  const auto& matmul = std::get<graph::MatMul>(args.node->attrs);
  const Shape& out = graph.shape(args.node->output);
  const Shape& a = graph.shape(args.node->inputs[0]);
  const Shape& b = graph.shape(args.node->inputs[1]);
  const uint32_t row_axis = out.rank() - 2;
  const uint32_t column_axis = out.rank() - 1;
  const Index index = IndexOf(out, element);
  Index a_index{};
  Index b_index{};
  for (uint32_t axis = 0; axis < row_axis; ++axis) {
    a_index[axis] = a[axis] == 1 ? 0 : index[axis];
    b_index[axis] = b[axis] == 1 ? 0 : index[axis];
  }
  a_index[row_axis] = index[row_axis];
  const bool transposed = matmul.transpose_b == graph::TransposeB::kYes;
  b_index[transposed ? row_axis : column_axis] = index[column_axis];
  float sum = 0;
  for (uint32_t k = 0; k < a.Back(0); ++k) {
    a_index[column_axis] = k;
    b_index[transposed ? column_axis : row_axis] = k;
    sum = std::fma(*ElementAt(image.inputs[0], ElementOf(a, a_index)),
                   *ElementAt(image.inputs[1], ElementOf(b, b_index)), sum);
  }
  *ElementAt(image.output, element) = sum * matmul.scale;
}

}  // namespace

void MatMul(const RowArgs& args, RowRange rows) {
  for (const Image& image : args.images) {
    const uint64_t row = uint64_t{image.output.pixels} * image.output.channels;
    for (uint64_t e = rows.begin * row; e < rows.end * row; ++e) ComputeElement(args, image, e);
  }
}

}  // namespace coracle::kernels::reference
