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
#include "kernels/simd/product_tile-inl.h"
#include "kernels/simd/reduce-inl.h"
#include "kernels/simd/row_kernels.h"
#include "kernels/simd/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {
namespace {

/// Keys whose values stay in the first-level cache while all queries at hand meet them.
constexpr uint32_t kValueRows = 128;

/// A panel's columns of a matrix of `columns` in all.
struct Panel {
  size_t column = 0;
  size_t columns = 0;  // real ones
  size_t vecs = 0;
  size_t Width() const { return vecs * FloatLanes(); }
};

Panel PanelFrom(size_t column, size_t columns) {
  const size_t lanes = FloatLanes();
  const size_t count = std::min(kProductVecs * lanes, columns - column);
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
    ProductTile tile;
    tile.depth = image_.inputs[1].channels;
    tile.scale.fill(attrs_.scale);
    tile.b = keys_;
    for (size_t t = 0; t < tokens_;) {
      const Panel panel = PanelFrom(t, tokens_);
      tile.columns = panel.columns;
      for (uint32_t first = 0; first < count; first += kProductRows) {
        const uint32_t rows = std::min(kProductRows, count - first);
        for (uint32_t i = 0; i < rows; ++i) {
          const float* mask = MaskOf(begin + first + i);
          tile.a[i] = image_.inputs[0].Pixel(begin + first + i, head_);
          tile.c[i] = scores_ + (first + i) * stride_ + t;
          tile.mask[i] = mask == nullptr ? nullptr : mask + t;
        }
        ProductFor(rows, panel.vecs)(tile);
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
    ProductTile tile;
    tile.depth = std::min(kValueRows, tokens_ - token);
    tile.b = packed;
    tile.columns = panel.columns;
    tile.first = token == 0;
    const bool last = token + tile.depth == tokens_;
    for (uint32_t first = 0; first < count; first += kProductRows) {
      const uint32_t rows = std::min(kProductRows, count - first);
      for (uint32_t i = 0; i < rows; ++i) {
        tile.a[i] = scores_ + (first + i) * stride_ + token;
        tile.c[i] = image_.output.Pixel(begin + first + i, head_) + panel.column;
        tile.scale[i] = last ? inverse_[first + i] : 1;
      }
      ProductFor(rows, panel.vecs)(tile);
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
