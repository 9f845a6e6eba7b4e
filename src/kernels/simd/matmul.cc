// MatMul: B is packed, kMatMulDepthMax rows of K by a few vectors of columns at a time, and met by
// up to six rows of A in registers. Each element is one FMA chain over K from zero, whatever the
// tile.
#include <algorithm>
#include <utility>

#include "base/index.h"
#include "kernels/index_map.h"
#include "kernels/kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/matmul.cc"
#include "hwy/foreach_target.h"
// Highway's order.
#include "hwy/highway.h"
#include "kernels/simd/math-inl.h"
#include "kernels/simd/product_tile-inl.h"
#include "kernels/simd/row_kernels.h"
#include "kernels/simd/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {
namespace {

/// One product of matrices: rows [m_begin, m_end) of it.
class Product {
 public:
  Product(const RowArgs& args, const Image& image)
      : attrs_(std::get<graph::MatMul>(args.node->attrs)),
        image_(image),
        packed_(reinterpret_cast<float*>(args.workspace.data())) {
    const graph::Graph& graph = *args.graph;
    depth_ = graph.shape(args.node->inputs[0]).Back(0);
    columns_ = graph.shape(args.node->output).Back(0);
  }

  /// `a`, `c`: the first row's pixel number in its tensor; `b`: of B's first row.
  void Multiply(uint64_t a, uint64_t b, uint64_t c, uint32_t rows) {
    const auto lanes = static_cast<uint32_t>(FloatLanes());
    for (uint32_t n = 0; n < columns_;) {
      const uint32_t vecs = std::min(kProductVecs, (columns_ - n + lanes - 1) / lanes);
      const uint32_t width = vecs * lanes;
      const uint32_t columns = std::min(width, columns_ - n);
      for (uint32_t k = 0; k < depth_; k += kMatMulDepthMax) {
        const uint32_t depth = std::min(kMatMulDepthMax, depth_ - k);
        Pack(b, n, columns, width, k, depth);
        MultiplyRows(a, c, rows, n, columns, vecs, k, depth);
      }
      n += columns;
    }
  }

 private:
  void Pack(uint64_t b, uint32_t n, uint32_t columns, uint32_t width, uint32_t k, uint32_t depth) {
    if (columns < width) std::fill_n(packed_, size_t{depth} * width, 0.0F);
    const Rows& rows = image_.inputs[1];
    if (attrs_.transpose_b == graph::TransposeB::kYes) {
      for (uint32_t j = 0; j < columns; ++j) {
        const float* column = PixelAt(rows, b + n + j) + k;
        for (uint32_t i = 0; i < depth; ++i) packed_[size_t{i} * width + j] = column[i];
      }
      return;
    }
    for (uint32_t i = 0; i < depth; ++i) {
      std::copy_n(PixelAt(rows, b + k + i) + n, columns, packed_ + size_t{i} * width);
    }
  }

  void MultiplyRows(uint64_t a, uint64_t c, uint32_t rows, uint32_t n, uint32_t columns,
                    uint32_t vecs, uint32_t k, uint32_t depth) {
    ProductTile tile;
    tile.b = packed_;
    tile.depth = depth;
    tile.columns = columns;
    tile.first = k == 0;
    tile.scale.fill(k + depth == depth_ ? attrs_.scale : 1);
    for (uint32_t m = 0; m < rows; m += kProductRows) {
      const uint32_t count = std::min(kProductRows, rows - m);
      for (uint32_t i = 0; i < count; ++i) {
        tile.a[i] = PixelAt(image_.inputs[0], a + m + i) + k;
        tile.c[i] = PixelAt(image_.output, c + m + i) + n;
      }
      ProductFor(count, vecs)(tile);
    }
  }

  const graph::MatMul& attrs_;
  const Image& image_;
  float* packed_;
  uint32_t depth_ = 0;
  uint32_t columns_ = 0;
};

/// The number of the operand's matrix that output matrix `index` takes.
uint64_t MatrixOf(const Shape& out, const Shape& operand, uint64_t index) {
  const Shape batch(out.dims().first(out.rank() - 2));
  const Shape operand_batch(operand.dims().first(operand.rank() - 2));
  return BroadcastElement(batch, operand_batch, IndexOf(batch, index));
}

void MatMul(const RowArgs& args, RowRange rows) {
  const graph::Graph& graph = *args.graph;
  const Shape& out = graph.shape(args.node->output);
  const Shape& a = graph.shape(args.node->inputs[0]);
  const Shape& b = graph.shape(args.node->inputs[1]);
  const uint64_t height = out.Back(1);
  for (const Image& image : args.images) {
    Product product(args, image);
    const uint64_t end = uint64_t{rows.end} * image.output.pixels;
    for (uint64_t pixel = uint64_t{rows.begin} * image.output.pixels; pixel < end;) {
      const uint64_t matrix = pixel / height;
      const uint64_t m = pixel % height;
      const auto count = static_cast<uint32_t>(std::min(height - m, end - pixel));
      product.Multiply(MatrixOf(out, a, matrix) * height + m, MatrixOf(out, b, matrix) * b.Back(1),
                       pixel, count);
      pixel += count;
    }
  }
}

}  // namespace

void AddMatMul(KernelSet& set) { set.rows[Position(graph::OpKind::kMatMul)] = MatMul; }

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace coracle::kernels {

void AddMatMulKernel(int64_t hwy_target, KernelSet& set) {
  CORACLE_CALL_FOR_TARGET(hwy_target, AddMatMul, set)
}

}  // namespace coracle::kernels
#endif
