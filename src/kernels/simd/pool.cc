// Pool and Reduce.
#include <algorithm>
#include <limits>

#include "base/index.h"
#include "kernels/kernel.h"
#include "kernels/max_pool_bytes.h"
#include "kernels/window_axis.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/pool.cc"
#include "hwy/foreach_target.h"
// Highway's order.
#include "hwy/highway.h"
#include "kernels/simd/reduce-inl.h"
#include "kernels/simd/row_kernels.h"
#include "kernels/simd/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {
namespace {

/// Most taps whose pixels are listed before the channels are walked; larger windows are walked once
/// for each run of channels.
constexpr uint32_t kListedTapsMax = 9;

/// The taps of one output pixel that lie inside of the image.
struct Taps {
  const Rows& in;
  const WindowAxis& vertical;
  const WindowAxis& horizontal;
  uint32_t y, x;
  RowRange rows, columns;

  uint32_t Count() const { return rows.count() * columns.count(); }
  const float* At(uint32_t ky, uint32_t kx) const {
    return in.Pixel(static_cast<uint32_t>(vertical.Input(y, ky)),
                    static_cast<uint32_t>(horizontal.Input(x, kx)));
  }
};

HWY_INLINE FloatVec LoadLanes(const float* p, size_t count) {
  return count == FloatLanes() ? hn::LoadU(FloatTag(), p) : LoadSome(p, count);
}
HWY_INLINE void StoreLanes(FloatVec v, float* p, size_t count) {
  if (count == FloatLanes()) return hn::StoreU(v, FloatTag(), p);
  StoreSome(v, p, count);
}

/// Channels [c, c + count) of one output pixel, count <= FloatLanes(), all taps in order.
template <class Reduction>
HWY_INLINE FloatVec PoolLanes(const Taps& taps, size_t c, size_t count) {
  FloatVec acc = Reduction::Start();
  for (uint32_t ky = taps.rows.begin; ky < taps.rows.end; ++ky) {
    const float* p = taps.At(ky, taps.columns.begin) + c;
    const ptrdiff_t step = taps.in.pixel_stride * taps.horizontal.dilation;
    for (uint32_t kx = taps.columns.begin; kx < taps.columns.end; ++kx, p += step) {
      acc = Reduction::Join(acc, LoadLanes(p, count));
    }
  }
  return acc;
}

/// The same over kCount listed pixels.
template <class Reduction, uint32_t kCount>
HWY_INLINE FloatVec PoolListed(const float* const* pixels, size_t c, size_t count) {
  FloatVec acc = Reduction::Start();
  for (uint32_t i = 0; i < kCount; ++i) {
    acc = Reduction::Join(acc, LoadLanes(pixels[i] + c, count));
  }
  return acc;
}

struct MaxPool : MaxReduction {
  float divisor = 1;
  HWY_INLINE FloatVec End(FloatVec v) const { return v; }
};
struct AveragePool : SumReduction {
  float divisor = 1;
  HWY_INLINE FloatVec End(FloatVec v) const { return hn::Div(v, Splat(divisor)); }
};

template <class Kind, uint32_t kCount>
HWY_INLINE void PoolPixelListed(const Kind& kind, const Taps& taps, float* out, size_t channels) {
  const float* pixels[kCount];
  uint32_t n = 0;
  for (uint32_t ky = taps.rows.begin; ky < taps.rows.end; ++ky) {
    for (uint32_t kx = taps.columns.begin; kx < taps.columns.end; ++kx) {
      pixels[n++] = taps.At(ky, kx);
    }
  }
  const FloatTag d;
  const size_t lanes = FloatLanes();
  size_t c = 0;
  for (; c + lanes <= channels; c += lanes) {
    hn::StoreU(kind.End(PoolListed<Kind, kCount>(pixels, c, lanes)), d, out + c);
  }
  if (c == channels) return;
  StoreSome(kind.End(PoolListed<Kind, kCount>(pixels, c, channels - c)), out + c, channels - c);
}

template <class Kind>
HWY_INLINE void PoolPixel(const Kind& kind, const Taps& taps, float* out, size_t channels) {
  switch (taps.Count()) {
    case 4:
      return PoolPixelListed<Kind, 4>(kind, taps, out, channels);
    case kListedTapsMax:
      return PoolPixelListed<Kind, kListedTapsMax>(kind, taps, out, channels);
    default:
      break;
  }
  const size_t lanes = FloatLanes();
  for (size_t c = 0; c < channels; c += lanes) {
    const size_t count = std::min(lanes, channels - c);
    StoreLanes(kind.End(PoolLanes<Kind>(taps, c, count)), out + c, count);
  }
}

/// Taps of one axis that an average counts.
uint32_t Counted(const graph::Pool& pool, const WindowAxis& axis, uint32_t out, uint32_t extent) {
  const bool pads = pool.counting == graph::PadCounting::kIncludePad;
  const int64_t low = pads ? -int64_t{axis.pad_begin} : 0;
  const int64_t high = int64_t{extent} + (pads ? axis.pad_end : 0);
  return axis.Taps(out, low, high).count();
}

template <class Kind>
void PoolRows(const graph::Pool& pool, const Image& image, RowRange rows) {
  const Rows& in = image.inputs[0];
  const Rows& out = image.output;
  const WindowAxis vertical = VerticalAxis(pool.window);
  const WindowAxis horizontal = HorizontalAxis(pool.window);
  for (uint32_t y = rows.begin; y < rows.end; ++y) {
    const RowRange ky = vertical.Taps(y, 0, in.rows);
    const uint32_t counted_y = Counted(pool, vertical, y, in.rows);
    for (uint32_t x = 0; x < out.pixels; ++x) {
      const Taps taps{in, vertical, horizontal, y, x, ky, horizontal.Taps(x, 0, in.pixels)};
      const uint32_t counted = counted_y * Counted(pool, horizontal, x, in.pixels);
      Kind kind;
      kind.divisor = static_cast<float>(std::max(counted, 1U));
      PoolPixel(kind, taps, out.Pixel(y, x), out.channels);
    }
  }
}

void Pool(const RowArgs& args, RowRange rows) {
  const auto& pool = std::get<graph::Pool>(args.node->attrs);
  for (const Image& image : args.images) {
    if (image.output.element_bytes == 1) {
      MaxPoolBytes(pool.window, image, rows);
    } else if (pool.kind == graph::PoolKind::kMax) {
      PoolRows<MaxPool>(pool, image, rows);
    } else {
      PoolRows<AveragePool>(pool, image, rows);
    }
  }
}

/// Channels [c, c + count) over all pixels: each row by itself, then the rows.
template <class Reduction>
HWY_INLINE FloatVec ReduceLanes(const Rows& in, size_t c, size_t count) {
  FloatVec total = Reduction::Start();
  for (uint32_t y = 0; y < in.rows; ++y) {
    FloatVec row = Reduction::Start();
    const float* p = in.Row(y) + c;
    for (uint32_t x = 0; x < in.pixels; ++x, p += in.pixel_stride) {
      row = Reduction::Join(row, LoadLanes(p, count));
    }
    total = Reduction::Join(total, row);
  }
  return total;
}

template <class Reduction>
void ReduceSpatial(const Image& image, float divisor) {
  const Rows& in = image.inputs[0];
  const size_t lanes = FloatLanes();
  for (size_t c = 0; c < in.channels; c += lanes) {
    const size_t count = std::min<size_t>(lanes, in.channels - c);
    const FloatVec total = ReduceLanes<Reduction>(in, c, count);
    StoreLanes(hn::Div(total, Splat(divisor)), image.output.Row(0) + c, count);
  }
}

template <class Reduction>
void ReduceLast(const Image& image, float divisor, RowRange rows) {
  const Rows& in = image.inputs[0];
  for (uint32_t y = rows.begin; y < rows.end; ++y) {
    for (uint32_t x = 0; x < in.pixels; ++x) {
      *image.output.Pixel(y, x) = ReduceRun<Reduction>(in.Pixel(y, x), in.channels) / divisor;
    }
  }
}

template <class Reduction>
void ReduceRows(const RowArgs& args, RowRange rows) {
  const bool spatial = PerImage(*args.graph, *args.node);
  const bool mean = std::get<graph::Reduce>(args.node->attrs).kind == graph::ReduceKind::kMean;
  for (const Image& image : args.images) {
    const Rows& in = image.inputs[0];
    const uint64_t count = spatial ? uint64_t{in.rows} * in.pixels : in.channels;
    const float divisor = mean ? static_cast<float>(count) : 1;
    if (!spatial) {
      ReduceLast<Reduction>(image, divisor, rows);
    } else if (rows.count() > 0) {
      ReduceSpatial<Reduction>(image, divisor);
    }
  }
}

void Reduce(const RowArgs& args, RowRange rows) {
  switch (std::get<graph::Reduce>(args.node->attrs).kind) {
    case graph::ReduceKind::kMean:
    case graph::ReduceKind::kSum:
      return ReduceRows<SumReduction>(args, rows);
    case graph::ReduceKind::kMax:
      return ReduceRows<MaxReduction>(args, rows);
    case graph::ReduceKind::kMin:
      return ReduceRows<MinReduction>(args, rows);
  }
}

}  // namespace

void AddPool(KernelSet& set) {
  set.rows[Position(graph::OpKind::kPool)] = Pool;
  set.rows[Position(graph::OpKind::kReduce)] = Reduce;
}

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace coracle::kernels {

void AddPoolKernels(int64_t hwy_target, KernelSet& set) {
  CORACLE_CALL_FOR_TARGET(hwy_target, AddPool, set)
}

}  // namespace coracle::kernels
#endif
