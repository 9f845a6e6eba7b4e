// Quantize, Dequantize, QuantizedAdd, RowExtremes. Every target gives the reference's bits.
#include <algorithm>
#include <limits>
#include <span>

#include "base/index.h"
#include "kernels/quantized.h"
#include "kernels/reference/reference.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/quantize.cc"
#include "hwy/foreach_target.h"
// Highway's order.
#include "hwy/highway.h"
#include "kernels/simd/activation-inl.h"
#include "kernels/simd/requantize-inl.h"
#include "kernels/simd/row_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {
namespace {

#if CORACLE_INTEGER_KERNELS

/// Calls run(y, x, count) for contiguous runs of `like`'s elements: rows where they are dense in
/// all of `operands` too, else pixels.
void ForEachRun(const Rows& like, std::span<const Rows> operands, RowRange rows, const auto& run) {
  const bool dense = like.DenseRow() && std::all_of(operands.begin(), operands.end(),
                                                    [](const Rows& o) { return o.DenseRow(); });
  const uint32_t steps = dense ? 1 : like.pixels;
  const size_t count = dense ? size_t{like.pixels} * like.channels : like.channels;
  for (uint32_t y = rows.begin; y < rows.end; ++y) {
    for (uint32_t x = 0; x < steps; ++x) run(y, x, count);
  }
}

void Quantize(const RowArgs& args, RowRange rows) {
  const auto& attrs = std::get<graph::Quantize>(args.node->attrs);
  for (const Image& image : args.images) {
    const Quantizer quantizer(QuantizationOf(attrs.out, attrs.source, image));
    const auto run = [&](uint32_t y, uint32_t x, size_t count) {
      QuantizeRun(quantizer, image.inputs[0].Pixel(y, x), image.output.Pixel<uint8_t>(y, x), count);
    };
    ForEachRun(image.output, image.inputs.first(1), rows, run);
  }
}

void Dequantize(const RowArgs& args, RowRange rows) {
  const auto& attrs = std::get<graph::Dequantize>(args.node->attrs);
  const size_t lanes = FloatLanes();
  for (const Image& image : args.images) {
    const Dequantizer dequantizer(QuantizationOf(attrs.in, attrs.source, image));
    const auto run = [&](uint32_t y, uint32_t x, size_t count) {
      const uint8_t* in = image.inputs[0].Pixel<uint8_t>(y, x);
      float* out = image.output.Pixel(y, x);
      size_t i = 0;
      for (; i + lanes <= count; i += lanes) {
        hn::StoreU(dequantizer(LoadBytes(in + i, lanes)), FloatTag(), out + i);
      }
      if (i < count) StoreSome(dequantizer(LoadBytes(in + i, count - i)), out + i, count - i);
    };
    ForEachRun(image.output, image.inputs.first(1), rows, run);
  }
}

/// The sums go through a stage: any activation ends them.
void QuantizedAdd(const RowArgs& args, RowRange rows) {
  constexpr size_t kStage = 256;
  HWY_ALIGN float stage[kStage];
  const auto& attrs = std::get<graph::QuantizedAdd>(args.node->attrs);
  const Dequantizer from_a(attrs.a);
  const Dequantizer from_b(attrs.b);
  const Quantizer quantizer(attrs.out);
  const size_t lanes = FloatLanes();
  for (const Image& image : args.images) {
    const auto run = [&](uint32_t y, uint32_t x, size_t count) {
      const uint8_t* a = image.inputs[0].Pixel<uint8_t>(y, x);
      const uint8_t* b = image.inputs[1].Pixel<uint8_t>(y, x);
      uint8_t* out = image.output.Pixel<uint8_t>(y, x);
      for (size_t done = 0; done < count; done += kStage) {
        const size_t some = std::min(kStage, count - done);
        for (size_t i = 0; i < some; i += lanes) {
          const size_t part = std::min(lanes, some - i);
          hn::Store(
              hn::Add(from_a(LoadBytes(a + done + i, part)), from_b(LoadBytes(b + done + i, part))),
              FloatTag(), stage + i);
        }
        if (args.node->activation.kind != ActivationKind::kNone) {
          ActivateRun(args.node->activation, stage, stage, some);
        }
        QuantizeRun(quantizer, stage, out + done, some);
      }
    };
    ForEachRun(image.output, image.inputs, rows, run);
  }
}

/// Least and largest in every lane; x86's min and max give their second operand where the first is
/// a NaN.
struct LaneExtremes {
  FloatVec least, largest;

  void Clear() {
    least = Splat(std::numeric_limits<float>::infinity());
    largest = Splat(-std::numeric_limits<float>::infinity());
  }
  void AddRun(const float* in, size_t count) {
    const size_t lanes = FloatLanes();
    size_t i = 0;
    for (; i + lanes <= count; i += lanes) {
      const FloatVec x = hn::LoadU(FloatTag(), in + i);
      least = hn::Min(x, least);
      largest = hn::Max(x, largest);
    }
    if (i == count) return;
    least = hn::Min(LoadSomeOr(least, in + i, count - i), least);
    largest = hn::Max(LoadSomeOr(largest, in + i, count - i), largest);
  }
};

void RowExtremes(const RowArgs& args, RowRange rows) {
  for (const Image& image : args.images) {
    const Rows& in = image.inputs[0];
    const uint32_t steps = in.DenseRow() ? 1 : in.pixels;
    const size_t count = in.DenseRow() ? size_t{in.pixels} * in.channels : in.channels;
    for (uint32_t y = rows.begin; y < rows.end; ++y) {
      LaneExtremes extremes;
      extremes.Clear();
      for (uint32_t x = 0; x < steps; ++x) extremes.AddRun(in.Pixel(y, x), count);
      float* const out = image.output.Row(y);
      out[0] = hn::GetLane(hn::MinOfLanes(FloatTag(), extremes.least));
      out[1] = hn::GetLane(hn::MaxOfLanes(FloatTag(), extremes.largest));
    }
  }
}

#else
using reference::Dequantize;
using reference::Quantize;
using reference::QuantizedAdd;
using reference::RowExtremes;
#endif

}  // namespace

void AddQuantizeForTarget(KernelSet& set) {
  using graph::OpKind;
  set.rows[Position(OpKind::kQuantize)] = Quantize;
  set.rows[Position(OpKind::kDequantize)] = Dequantize;
  set.rows[Position(OpKind::kQuantizedAdd)] = QuantizedAdd;
  set.rows[Position(OpKind::kRowExtremes)] = RowExtremes;
  // A few numbers an image.
  set.rows[Position(OpKind::kQuantizationRange)] = reference::QuantizationRange;
}

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace coracle::kernels {

void AddQuantizeKernels(int64_t hwy_target, KernelSet& set) {
  CORACLE_CALL_FOR_TARGET(hwy_target, AddQuantizeForTarget, set)
}

}  // namespace coracle::kernels
#endif
