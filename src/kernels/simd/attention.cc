// Attention: per head, keys and values are packed once (the keys transposed); then some queries at
// a time: their scores over all keys, softmax, and the weighted sum of the values. A score and a
// sum are one FMA chain each, over channels and over keys; the softmax's order depends on the
// number of keys alone.
#include "kernels/attention.h"

#include <algorithm>
#include <array>

#include "base/checked.h"
#include "base/index.h"
#include "kernels/kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/attention.cc"
#include "hwy/foreach_target.h"
// Highway's order.
#include "hwy/highway.h"
#include "kernels/simd/math-inl.h"
#include "kernels/simd/reduce-inl.h"
#include "kernels/simd/row_kernels.h"
#include "kernels/simd/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {
namespace {

/// Vectors of columns: what leaves registers for a row of B beside kTileRows times as many sums.
constexpr uint32_t kTileVecs = HWY_TARGET == HWY_AVX3 ? 4 : 2;
constexpr uint32_t kTileRows = 6;
/// Keys whose values stay in the first-level cache while all queries at hand meet them.
constexpr uint32_t kValueRows = 128;

/// c = scale (c + a b) + mask, for a few rows of a and c and a panel of b: whole vectors of
/// columns, row after row without gaps.
struct Tile {
  std::array<const float*, kTileRows> a{};
  std::array<float*, kTileRows> c{};
  std::array<float, kTileRows> scale{};
  std::array<const float*, kTileRows> mask{};  // null: none
  const float* b = nullptr;
  uint32_t depth = 0;
  size_t columns = 0;  // real ones
  bool first = true;   // c begins as zeros
};

HWY_INLINE FloatVec LoadColumns(const float* p, size_t column, size_t columns) {
  if (column + FloatLanes() <= columns) return hn::LoadU(FloatTag(), p + column);
  return column < columns ? LoadSome(p + column, columns - column) : Splat(0);
}
HWY_INLINE void StoreColumns(FloatVec v, float* p, size_t column, size_t columns) {
  if (column + FloatLanes() <= columns) return hn::StoreU(v, FloatTag(), p + column);
  if (column < columns) StoreSome(v, p + column, columns - column);
}

template <uint32_t kRows, uint32_t kVecs>
HWY_NOINLINE void MultiplyTile(const Tile& tile) {
  const FloatTag d;
  const size_t lanes = FloatLanes();
  FloatVec sums[kRows][kVecs];
  for (uint32_t i = 0; i < kRows; ++i) {
    for (uint32_t j = 0; j < kVecs; ++j) {
      sums[i][j] = tile.first ? Splat(0) : LoadColumns(tile.c[i], j * lanes, tile.columns);
    }
  }
  const float* b = tile.b;
  for (uint32_t k = 0; k < tile.depth; ++k, b += kVecs * lanes) {
    FloatVec columns[kVecs];
    for (uint32_t j = 0; j < kVecs; ++j) columns[j] = hn::Load(d, b + j * lanes);
    for (uint32_t i = 0; i < kRows; ++i) {
      const FloatVec a = Splat(tile.a[i][k]);
      for (uint32_t j = 0; j < kVecs; ++j) sums[i][j] = hn::MulAdd(a, columns[j], sums[i][j]);
    }
  }
  for (uint32_t i = 0; i < kRows; ++i) {
    const FloatVec scale = Splat(tile.scale[i]);
    for (uint32_t j = 0; j < kVecs; ++j) {
      FloatVec c = hn::Mul(sums[i][j], scale);
      if (tile.mask[i] != nullptr) {
        c = hn::Add(c, LoadColumns(tile.mask[i], j * lanes, tile.columns));
      }
      StoreColumns(c, tile.c[i], j * lanes, tile.columns);
    }
  }
}

using TileKernel = void (*)(const Tile&);

template <uint32_t kVecs>
TileKernel TileForVecs(uint32_t rows) {
  static constexpr TileKernel kKernels[kTileRows] = {
      MultiplyTile<1, kVecs>, MultiplyTile<2, kVecs>, MultiplyTile<3, kVecs>,
      MultiplyTile<4, kVecs>, MultiplyTile<5, kVecs>, MultiplyTile<6, kVecs>};
  return kKernels[rows - 1];
}

TileKernel TileFor(uint32_t rows, size_t vecs) {
  switch (vecs) {
    case 1:
      return TileForVecs<1>(rows);
#if HWY_TARGET == HWY_AVX3
    case 2:
      return TileForVecs<2>(rows);
    case 3:
      return TileForVecs<3>(rows);
#endif
    default:
      return TileForVecs<kTileVecs>(rows);
  }
}

/// A panel's columns of a matrix of `columns` in all.
struct Panel {
  size_t column = 0;
  size_t columns = 0;  // real ones
  size_t vecs = 0;
  size_t Width() const { return vecs * FloatLanes(); }
};

Panel PanelFrom(size_t column, size_t columns) {
  const size_t lanes = FloatLanes();
  const size_t count = std::min(kTileVecs * lanes, columns - column);
  return {column, count, (count + lanes - 1) / lanes};
}

/// exp(scores - their largest). Returns the inverse of the sum.
HWY_INLINE float Exponentials(float* scores, size_t count) {
  const FloatTag d;
  const size_t lanes = FloatLanes();
  const FloatVec largest = Splat(ReduceRun<MaxReduction>(scores, count));
  FloatVec sum = Splat(0);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const FloatVec e = Exp(hn::Sub(hn::Load(d, scores + i), largest));
    sum = hn::Add(sum, e);
    hn::Store(e, d, scores + i);
  }
  if (i < count) {
    const FloatVec e = Exp(hn::Sub(LoadSome(scores + i, count - i), largest));
    sum = hn::Add(sum, hn::IfThenElseZero(hn::FirstN(d, count - i), e));
    StoreSome(e, scores + i, count - i);
  }
  return 1 / SumReduction::Finish(sum);
}

/// One image and head.
class Head {
 public:
  Head(const RowArgs& args, const Image& image, uint32_t head)
      : args_(args),
        attrs_(std::get<graph::Attention>(args.node->attrs)),
        image_(image),
        head_(head),
        tokens_(image.inputs[1].rows),
        stride_(AttentionScoreStride(tokens_)),
        keys_(reinterpret_cast<float*>(args.workspace.data())),
        values_(keys_ + AttentionKeyFloats(tokens_, image.inputs[1].channels)),
        scores_(values_ + AttentionKeyFloats(image.inputs[2].channels, tokens_)) {
    PackKeys();
    PackValues();
  }

  /// Requires: at most kAttentionQueries.
  void Attend(uint32_t begin, uint32_t count) {
    Score(begin, count);
    for (uint32_t i = 0; i < count; ++i) {
      inverse_[i] = Exponentials(scores_ + i * stride_, tokens_);
    }
    Sum(begin, count);
  }

 private:
  /// Keys as columns, panel after panel; zeros behind the last.
  void PackKeys() {
    const Rows& keys = image_.inputs[1];
    float* to = keys_;
    for (size_t t = 0; t < tokens_;) {
      const Panel panel = PanelFrom(t, tokens_);
      const size_t width = panel.Width();
      if (panel.columns < width) std::fill_n(to, width * keys.channels, 0.0F);
      for (size_t i = 0; i < panel.columns; ++i) {
        const float* key = keys.Pixel(static_cast<uint32_t>(t + i), head_);
        for (uint32_t c = 0; c < keys.channels; ++c) to[c * width + i] = key[c];
      }
      to += width * keys.channels;
      t += panel.columns;
    }
  }

  void PackValues() {
    const Rows& values = image_.inputs[2];
    float* to = values_;
    for (size_t e = 0; e < values.channels;) {
      const Panel panel = PanelFrom(e, values.channels);
      const size_t width = panel.Width();
      for (uint32_t t = 0; t < tokens_; ++t, to += width) {
        const float* value = values.Pixel(t, head_) + e;
        std::copy_n(value, panel.columns, to);
        std::fill(to + panel.columns, to + width, 0.0F);
      }
      e += panel.columns;
    }
  }

  void Score(uint32_t begin, uint32_t count) const {
    Tile tile;
    tile.depth = image_.inputs[1].channels;
    tile.scale.fill(attrs_.scale);
    tile.b = keys_;
    for (size_t t = 0; t < tokens_;) {
      const Panel panel = PanelFrom(t, tokens_);
      tile.columns = panel.columns;
      for (uint32_t first = 0; first < count; first += kTileRows) {
        const uint32_t rows = std::min(kTileRows, count - first);
        for (uint32_t i = 0; i < rows; ++i) {
          const float* mask = MaskOf(begin + first + i);
          tile.a[i] = image_.inputs[0].Pixel(begin + first + i, head_);
          tile.c[i] = scores_ + (first + i) * stride_ + t;
          tile.mask[i] = mask == nullptr ? nullptr : mask + t;
        }
        TileFor(rows, panel.vecs)(tile);
      }
      tile.b += panel.Width() * tile.depth;
      t += panel.columns;
    }
  }

  const float* MaskOf(uint32_t query) const {
    if (attrs_.mask == graph::AttentionMask::kNone) return nullptr;
    if (attrs_.mask == graph::AttentionMask::kTensor) {
      const Rows& mask = image_.inputs[3];
      return mask.Pixel(mask.rows == 1 ? 0 : query, mask.pixels == 1 ? 0 : head_);
    }
    const Shape& shape = attrs_.mask_shape;
    const size_t row = shape[1] == 1 ? 0 : query;
    return args_.constants + (row * shape[2] + (shape[2] == 1 ? 0 : head_)) * tokens_;
  }

  void Sum(uint32_t begin, uint32_t count) const {
    const size_t channels = image_.inputs[2].channels;
    const float* packed = values_;
    for (size_t e = 0; e < channels;) {
      const Panel panel = PanelFrom(e, channels);
      for (uint32_t t = 0; t < tokens_; t += kValueRows) {
        SumOver(begin, count, panel, packed, t);
        packed += panel.Width() * std::min(kValueRows, tokens_ - t);
      }
      e += panel.columns;
    }
  }

  /// Adds the share of keys [token, token + kValueRows) to the panel's columns of the output.
  void SumOver(uint32_t begin, uint32_t count, const Panel& panel, const float* packed,
               uint32_t token) const {
    Tile tile;
    tile.depth = std::min(kValueRows, tokens_ - token);
    tile.b = packed;
    tile.columns = panel.columns;
    tile.first = token == 0;
    const bool last = token + tile.depth == tokens_;
    for (uint32_t first = 0; first < count; first += kTileRows) {
      const uint32_t rows = std::min(kTileRows, count - first);
      for (uint32_t i = 0; i < rows; ++i) {
        tile.a[i] = scores_ + (first + i) * stride_ + token;
        tile.c[i] = image_.output.Pixel(begin + first + i, head_) + panel.column;
        tile.scale[i] = last ? inverse_[first + i] : 1;
      }
      TileFor(rows, panel.vecs)(tile);
    }
  }

  const RowArgs& args_;
  const graph::Attention& attrs_;
  const Image& image_;
  const uint32_t head_;
  const uint32_t tokens_;
  const size_t stride_;
  float* const keys_;
  float* const values_;
  float* const scores_;
  std::array<float, kAttentionQueries> inverse_{};
};

void Attention(const RowArgs& args, RowRange rows) {
  for (const Image& image : args.images) {
    for (uint32_t h = 0; h < image.output.pixels; ++h) {
      Head head(args, image, h);
      for (uint32_t query = rows.begin; query < rows.end; query += kAttentionQueries) {
        head.Attend(query, std::min(kAttentionQueries, rows.end - query));
      }
    }
  }
}

}  // namespace

void AddAttention(KernelSet& set) { set.rows[Position(graph::OpKind::kAttention)] = Attention; }

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace coracle::kernels {

uint64_t AttentionKeyFloats(uint32_t columns, uint32_t rows) { return RoundUp(columns, 16) * rows; }

uint64_t AttentionScoreStride(uint32_t tokens) { return RoundUp(tokens, 16) + 16; }

uint64_t AttentionWorkspaceBytes(const graph::Graph& graph, const graph::Node& node) {
  const uint32_t queries = std::min(graph.shape(node.output)[1], kAttentionQueries);
  const uint32_t tokens = graph.shape(node.inputs[1])[1];
  const uint64_t floats = AttentionKeyFloats(tokens, graph.shape(node.inputs[1]).Back(0)) +
                          AttentionKeyFloats(graph.shape(node.inputs[2]).Back(0), tokens) +
                          queries * AttentionScoreStride(tokens);
  return floats * sizeof(float);
}

void AddAttentionKernel(int64_t hwy_target, KernelSet& set) {
  CORACLE_CALL_FOR_TARGET(hwy_target, AddAttention, set)
}

}  // namespace coracle::kernels
#endif
