// The end of integer sums: zero points, scale, bias, activation, quantisation, store. Included once
// per Highway target.

#if defined(CORACLE_KERNELS_SIMD_DOT8_FINISH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CORACLE_KERNELS_SIMD_DOT8_FINISH_INL_H_
#undef CORACLE_KERNELS_SIMD_DOT8_FINISH_INL_H_
#else
#define CORACLE_KERNELS_SIMD_DOT8_FINISH_INL_H_
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "hwy/highway.h"
#include "kernels/dot8.h"
#include "kernels/quantized.h"
#include "kernels/simd/dot8_tiles.h"
#include "kernels/simd/panels_finish-inl.h"
#include "kernels/simd/requantize-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {
#if CORACLE_INTEGER_KERNELS

/// What becomes of the int32 sums of one panel's (or some depthwise channels') columns. Which byte
/// a NaN becomes is left open: finite multipliers and biases make none.
class DotFinish {
 public:
  /// The parameters of the input are those of `image`.
  DotFinish(const graph::Graph& graph, const graph::Node& node, const Image& image)
      : activation_(node.activation),
        in_(QuantizationOf({1, node.integer.in_zero}, node.integer.in_source, image)),
        out_(node.integer.out),
        quantizer_(node.integer.out),
        high_(Splat(255 - static_cast<float>(node.integer.out.zero))),
        scales_(node.integer.out.scale != 1),
        header_rows_(Dot8HeaderRows(graph, node)),
        dynamic_(node.integer.in_source == graph::QuantizationSource::kTensor),
        bytes_(graph.tensor(node.output).dtype == DType::kUint8) {
    in_registers_ = FinishInRegisters(activation_, clamp_);
  }

  uint8_t in_zero() const { return in_.zero; }
  uint32_t output_bytes() const { return bytes_ ? 1 : sizeof(float); }

  /// Reads the header at `text`, `stride` columns wide, for columns [column, column + count), at
  /// most kPanelChannels. Returns what lies behind the header.
  const std::byte* EnterColumns(const std::byte* text, uint32_t stride, uint32_t column,
                                uint32_t count) {
    const auto* header = reinterpret_cast<const int32_t*>(text) + column;
    vectors_ = (count + kTileLanes - 1) / kTileLanes;
    start_ = header;
    multiplier_ = reinterpret_cast<const float*>(header) + stride;
    bias_ = reinterpret_cast<const float*>(header) + 2 * size_t{stride};
    if (dynamic_) EnterDynamic(header + size_t{header_rows_ - 1} * stride);
    return text + size_t{header_rows_} * stride * sizeof(int32_t);
  }
  /// A panel's header; its columns' zero points too.
  const std::byte* EnterPanel(const std::byte* text, uint32_t width) {
    zeros_ = reinterpret_cast<const int32_t*>(text) + 3 * size_t{width};
    int32_t any = 0;
    for (uint32_t n = 0; n < width; ++n) any |= zeros_[n];
    if (any == 0) zeros_ = nullptr;
    return EnterColumns(text, width, 0, width);
  }

  /// What the sums of the columns start from.
  const int32_t* start() const { return start_; }

  /// Adds to a tile's sums (rows of kPanelChannels) the partial ones of the chunks before (null:
  /// none), and takes what the zero points of the weights take.
  void Correct(const DotTile& tile, int32_t* sums, const int32_t* partial) const {
    if (zeros_ == nullptr && partial == nullptr) return;
    const size_t width = size_t{vectors_} * kTileLanes;
    for (uint32_t i = 0; i < tile.pixels; ++i, sums += kPanelChannels) {
      if (zeros_ != nullptr) TakeZeros(WindowSum(tile, i), sums);
      if (partial != nullptr) AddSums(partial + i * width, sums);
    }
  }

  /// Where an output element lies.
  std::byte* PixelOf(const Rows& out, uint32_t y, uint32_t x, uint32_t channel) const {
    return bytes_ ? reinterpret_cast<std::byte*>(out.Pixel<uint8_t>(y, x) + channel)
                  : reinterpret_cast<std::byte*>(out.Pixel(y, x) + channel);
  }

  /// Stores a tile's complete sums at the panel's channels.
  void Store(const DotTile& tile, const int32_t* sums, const PanelGeometry& panel) {
    const size_t offset = size_t{panel.channel_begin} * output_bytes();
    for (uint32_t i = 0; i < tile.pixels; ++i) {
      StoreRow(sums + size_t{i} * kPanelChannels, tile.outputs[i] + offset, panel.channel_count);
    }
  }

  /// Stores `count` complete sums, at most those entered.
  void StoreRow(const int32_t* sums, std::byte* to, uint32_t count) {
    if (!in_registers_) return StoreStaged(sums, to, count);
    if (!bytes_) {
      auto* const out = reinterpret_cast<float*>(to);
      for (uint32_t n = 0; n < count; n += kTileLanes) {
        StoreUpTo(Activated(Value(sums, n)), out + n, std::min(count - n, kTileLanes));
      }
      return;
    }
    auto* const out = reinterpret_cast<uint8_t*>(to);
#if HWY_TARGET == HWY_AVX3
    if (count > kTileLanes) return StoreFour(sums, out, count);
#endif
    for (uint32_t n = 0; n < count; n += kTileLanes) {
      StoreBytes(quantizer_(Activated(Value(sums, n))), out + n, std::min(count - n, kTileLanes));
    }
  }

 private:
  /// The same where the input's parameters were found while predicting.
  void EnterDynamic(const int32_t* weight_sums) {
    for (uint32_t n = 0; n < vectors_ * kTileLanes; n += kTileLanes) {
      const IntVec taken =
          hn::Mul(hn::Load(IntTag(), weight_sums + n), hn::Set(IntTag(), in_.zero));
      hn::Store(hn::Sub(hn::Load(IntTag(), start_ + n), taken), IntTag(), starts_ + n);
      hn::Store(hn::Mul(Splat(in_.scale), hn::Load(FloatTag(), multiplier_ + n)), FloatTag(),
                multipliers_ + n);
    }
    start_ = starts_;
    multiplier_ = multipliers_;
  }

  HWY_INLINE FloatVec Value(const int32_t* sums, uint32_t n) const {
    const FloatVec sum = hn::ConvertTo(FloatTag(), hn::Load(IntTag(), sums + n));
    return hn::Add(hn::Mul(sum, hn::Load(FloatTag(), multiplier_ + n)),
                   hn::Load(FloatTag(), bias_ + n));
  }

  HWY_INLINE FloatVec Activated(FloatVec x) const {
    switch (clamp_.function) {
      case RegisterFinish::kClamp:
        return ActivationOp<ActivationKind::kClip>{Splat(clamp_.a), Splat(clamp_.b)}(FloatTag(), x);
      case RegisterFinish::kLeakyRelu:
        return ActivationOp<ActivationKind::kLeakyRelu>{Splat(clamp_.a), Splat(0)}(FloatTag(), x);
      case RegisterFinish::kHardSwish:
        return ActivationOp<ActivationKind::kHardSwish>{Splat(clamp_.a), Splat(clamp_.b)}(
            FloatTag(), x);
      default:
        return x;
    }
  }

#if HWY_TARGET == HWY_AVX3
  /// Two to four vectors, packed together: lanes of 128 bits at first, dwords in order at last. The
  /// lower end of the range is where packing saturates.
  void StoreFour(const int32_t* sums, uint8_t* to, uint32_t count) const {
    const auto rounded = [&](uint32_t n) {
      FloatVec x = Activated(Value(sums, n));
      if (scales_) x = hn::Div(x, Splat(out_.scale));
      return _mm512_cvtps_epi32(hn::Min(x, high_).raw);
    };
    const auto rounded_if = [&](uint32_t n) {
      return count > n ? rounded(n) : _mm512_setzero_si512();
    };
    const __m512i zero = _mm512_set1_epi16(out_.zero);
    const __m512i low = _mm512_packs_epi32(rounded(0), rounded(kTileLanes));
    const __m512i high = _mm512_packs_epi32(rounded_if(2 * kTileLanes), rounded_if(3 * kTileLanes));
    const __m512i bytes =
        _mm512_packus_epi16(_mm512_adds_epi16(low, zero), _mm512_adds_epi16(high, zero));
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_mask_storeu_epi8(to, ~uint64_t{0} >> (64 - count),
                            _mm512_permutexvar_epi32(order, bytes));
  }
#endif

  void StoreStaged(const int32_t* sums, std::byte* to, uint32_t count) {
    HWY_ALIGN float values[kPanelChannels];
    for (uint32_t n = 0; n < count; n += kTileLanes) {
      hn::Store(Value(sums, n), FloatTag(), values + n);
    }
    ActivateRun(activation_, values, values, count);
    if (bytes_) {
      QuantizeRun(quantizer_, values, reinterpret_cast<uint8_t*>(to), count);
    } else {
      std::memcpy(to, values, count * sizeof(float));
    }
  }

  /// Sum of the inputs that pixel `i` of a tile reads.
  static uint32_t WindowSum(const DotTile& tile, uint32_t i) {
    const hn::Full128<uint8_t> d;
    const hn::Repartition<uint64_t, decltype(d)> d64;
    auto total = hn::Zero(d64);
    uint32_t rest = 0;
    for (uint32_t s = 0; s < tile.segment_count; ++s) {
      const uint8_t* window = tile.table[size_t{s} * tile.pixels + i];
      uint32_t k = 0;
      for (; k + 16 <= tile.lengths[s]; k += 16) {
        total = hn::Add(total, hn::SumsOf8(hn::LoadU(d, window + k)));
      }
      for (; k < tile.lengths[s]; ++k) rest += window[k];
    }
    HWY_ALIGN uint64_t halves[2];
    hn::Store(total, d64, halves);
    return static_cast<uint32_t>(halves[0] + halves[1]) + rest;
  }

  void AddSums(const int32_t* partial, int32_t* sums) const {
    for (uint32_t n = 0; n < vectors_ * kTileLanes; n += kTileLanes) {
      hn::Store(hn::Add(hn::Load(IntTag(), sums + n), hn::LoadU(IntTag(), partial + n)), IntTag(),
                sums + n);
    }
  }

  void TakeZeros(uint32_t window_sum, int32_t* sums) const {
    const IntVec inputs = hn::Set(IntTag(), static_cast<int32_t>(window_sum));
    for (uint32_t n = 0; n < vectors_ * kTileLanes; n += kTileLanes) {
      const IntVec taken = hn::Mul(hn::LoadU(IntTag(), zeros_ + n), inputs);
      hn::Store(hn::Sub(hn::Load(IntTag(), sums + n), taken), IntTag(), sums + n);
    }
  }

  const graph::Activation& activation_;
  const graph::Quantization in_;
  const graph::Quantization out_;
  const Quantizer quantizer_;
  const FloatVec high_;  // what the last value of the range is the rounding of
  const bool scales_;
  const uint32_t header_rows_;
  const bool dynamic_;
  const bool bytes_;                // the output is uint8
  bool in_registers_;               // no stage for the activation
  TileFinish clamp_;                // the activation's function and parameters
  uint32_t vectors_ = 0;            // of the columns
  const int32_t* zeros_ = nullptr;  // zero points of the weights; null: all 0
  // Of the columns: in the header, or below.
  const int32_t* start_ = nullptr;
  const float* multiplier_ = nullptr;
  const float* bias_ = nullptr;
  HWY_ALIGN int32_t starts_[kPanelChannels];
  HWY_ALIGN float multipliers_[kPanelChannels];
};

#endif
}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
