#include "kernels/simd/winograd.h"

#include <algorithm>

#include "base/check.h"
#include "base/checked.h"
#include "kernels/packing.h"
#include "kernels/panel_text.h"
#include "kernels/simd/winograd_tiles.h"
#include "kernels/winograd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/winograd.cc"
#include "hwy/foreach_target.h"
// Highway's order.
#include "hwy/highway.h"
#include "kernels/simd/dequantize-inl.h"
#include "kernels/simd/panels_finish-inl.h"
#include "kernels/simd/panels_tile-inl.h"
#include "kernels/simd/row_kernels.h"
#include "kernels/simd/winograd_transforms-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {
namespace {

/// What sums begin with.
HWY_ALIGN constexpr float kZeroBias[kPanelChannels] = {};

/// One chunk: a panel's `columns` outputs of a run of `inputs` input channels.
struct Operands {
  PanelText layout;
  const std::byte* text = nullptr;  // rows [tap][input], of columns
  const float* bias = nullptr;      // null: continue from the outputs
  uint32_t inputs = 0, columns = 0;
  uint32_t input_begin = 0;    // first input channel
  uint32_t channel_begin = 0;  // first output channel
  uint32_t channels = 0;       // real output channels
  bool completes = false;
};

Operands OperandsOf(const PanelArgs& args) {
  const graph::ChunkDescriptor& chunk = *args.chunk;
  const PanelGeometry panel = PanelAt(*args.graph, *args.node, chunk.panel_begin);
  Operands out{
      .layout = PanelText(args.node->weight_type, panel.width, chunk.k_count, chunk.k_begin == 0)};
  out.text = args.weights;
  out.bias = chunk.k_begin == 0 ? reinterpret_cast<const float*>(args.weights) : nullptr;
  out.inputs = chunk.k_count / kWinogradTaps;
  out.columns = panel.width;
  out.input_begin = chunk.k_begin / kWinogradTaps;
  out.channel_begin = panel.channel_begin;
  out.channels = panel.channel_count;
  out.completes = chunk.k_begin + chunk.k_count == panel.k_count;
  return out;
}

/// Rows [kFirst, kFirst + kRows) of the transformed weights: kRows (m + 2) matrices of all inputs
/// and columns (`count` floats a tap).
template <int kOutputs, int kFirst, int kRows>
HWY_NOINLINE void TransformWeightRows(const float* taps, size_t count, float* to, size_t stride) {
  using Axis = WinogradAxis<kOutputs>;
  constexpr int kInputs = Axis::kInputs;
  const FloatTag d;
  for (size_t i = 0; i < count; i += kTileLanes) {
    FloatVec rows[kRows][3];
    CORACLE_UNROLL for (int x = 0; x < 3; ++x) {
      const float* column = taps + static_cast<size_t>(x) * count + i;
      const FloatVec g[3] = {hn::LoadU(d, column), hn::LoadU(d, column + 3 * count),
                             hn::LoadU(d, column + 6 * count)};
      FloatVec all[kInputs];  // those of other rows cost nothing
      Axis::Weights(g, all);
      CORACLE_UNROLL for (int y = 0; y < kRows; ++y) rows[y][x] = all[kFirst + y];
    }
    CORACLE_UNROLL for (int y = 0; y < kRows; ++y) {
      FloatVec out[kInputs];
      Axis::Weights(rows[y], out);
      CORACLE_UNROLL for (int x = 0; x < kInputs; ++x) {
        hn::StoreU(out[x], d, to + static_cast<size_t>(y * kInputs + x) * stride + i);
      }
    }
  }
}

/// Rows that are transformed together: those between the first and the last share their sums.
struct WeightStrip {
  uint32_t first = 0;
  uint32_t rows = 1;
  uint32_t tap_begin = 0, tap_end = kWinogradTaps;  // that they are made of
  void (*transform)(const float* taps, size_t count, float* to, size_t stride) = nullptr;
};
template <int kOutputs>
constexpr WeightStrip kWeightStrips[] = {
    {0, 1, 0, 3, &TransformWeightRows<kOutputs, 0, 1>},
    {1, 2, 0, 9, &TransformWeightRows<kOutputs, 1, 2>},
    {3, kOutputs == 4 ? 2 : 1, kOutputs == 4 ? 0 : 6, 9,
     &TransformWeightRows<kOutputs, 3, kOutputs == 4 ? 2 : 1>},
    {5, kOutputs == 4 ? 1 : 0, 6, 9, &TransformWeightRows<4, 5, 1>}};

/// One tile's inputs: `to` is its row of the first matrix.
template <int kOutputs>
HWY_NOINLINE void TransformInputs(const WinogradInputs& inputs, uint32_t channels, float* to,
                                  size_t stride) {
  using Axis = WinogradAxis<kOutputs>;
  constexpr int kInputs = Axis::kInputs;
  const FloatTag d;
  for (size_t c = 0; c < channels; c += kTileLanes) {
    FloatVec half[kInputs][kInputs];  // [y][x]
    CORACLE_UNROLL for (int x = 0; x < kInputs; ++x) {
      FloatVec column[kInputs];
      CORACLE_UNROLL for (int y = 0; y < kInputs; ++y) {
        column[y] = hn::LoadU(d, inputs.pixels[static_cast<size_t>(y * kInputs + x)] + c);
      }
      FloatVec out[kInputs];
      Axis::Inputs(column, out);
      CORACLE_UNROLL for (int y = 0; y < kInputs; ++y) half[y][x] = out[y];
    }
    CORACLE_UNROLL for (int y = 0; y < kInputs; ++y) {
      FloatVec out[kInputs];
      Axis::Inputs(half[y], out);
      CORACLE_UNROLL for (int x = 0; x < kInputs; ++x) {
        hn::StoreU(out[x], d, to + static_cast<size_t>(y * kInputs + x) * stride + c);
      }
    }
  }
}

/// A vector of one tile's sums, transformed back.
template <int kOutputs>
HWY_INLINE void TransformSums(const float* sums, size_t stride,
                              FloatVec (&out)[kOutputs][kOutputs]) {
  using Axis = WinogradAxis<kOutputs>;
  constexpr int kInputs = Axis::kInputs;
  const FloatTag d;
  FloatVec half[kOutputs][kInputs];  // [y][x]
  CORACLE_UNROLL for (int x = 0; x < kInputs; ++x) {
    FloatVec column[kInputs];
    CORACLE_UNROLL for (int y = 0; y < kInputs; ++y) {
      column[y] = hn::LoadU(d, sums + static_cast<size_t>(y * kInputs + x) * stride);
    }
    FloatVec rows[kOutputs];
    Axis::Sums(column, rows);
    CORACLE_UNROLL for (int y = 0; y < kOutputs; ++y) half[y][x] = rows[y];
  }
  CORACLE_UNROLL for (int y = 0; y < kOutputs; ++y) Axis::Sums(half[y], out[y]);
}

/// One tile's outputs: where its sums are and what they pass through.
struct OutputCall {
  const float* sums = nullptr;  // the tile's row of the first matrix
  size_t stride = 0;
  const float* bias = nullptr;
  ptrdiff_t channel = 0;  // of column 0
  uint32_t channels = 0;
  const WinogradOutputPixels* pixels = nullptr;
  TileFinish finish = {};
};

/// Ends a tile in registers.
template <int kOutputs, ActivationKind kKind>
HWY_NOINLINE void StoreTile(const OutputCall& call) {
  const TileFinish& finish = call.finish;
  const ActivationOp<kKind> op{Splat(finish.a), Splat(finish.b)};
  for (uint32_t c = 0; c < call.channels; c += kTileLanes) {
    const uint32_t count = std::min(kTileLanes, call.channels - c);
    const ptrdiff_t channel = call.channel + static_cast<ptrdiff_t>(c);
    FloatVec out[kOutputs][kOutputs];
    TransformSums<kOutputs>(call.sums + c, call.stride, out);
    CORACLE_UNROLL for (int y = 0; y < kOutputs; ++y) {
      CORACLE_UNROLL for (int x = 0; x < kOutputs; ++x) {
        const auto pixel = static_cast<size_t>(y * kOutputs + x);
        float* const to = call.pixels->outputs[pixel];
        if (to == nullptr) continue;
        const FloatVec before =
            call.bias != nullptr ? LoadUpTo(call.bias + c, count) : LoadUpTo(to + channel, count);
        FloatVec sum = hn::Add(out[y][x], before);
        const float* residual = call.pixels->residuals[pixel];
        if (finish.residual == graph::Residual::kBeforeActivation) {
          sum = hn::Add(sum, LoadUpTo(residual + channel, count));
        }
        if constexpr (kKind != ActivationKind::kNone) sum = op(FloatTag(), sum);
        if (finish.residual == graph::Residual::kAfterActivation) {
          sum = hn::Add(sum, LoadUpTo(residual + channel, count));
        }
        StoreUpTo(sum, to + channel, count);
      }
    }
  }
}

/// Ends a tile through a stage: activations that are not for registers.
template <int kOutputs>
HWY_NOINLINE void StoreTileStaged(const OutputCall& call, const graph::Activation& activation) {
  HWY_ALIGN float stage[kWinogradOutputsMax][kPanelChannels];
  OutputCall plain = call;
  WinogradOutputPixels staged = *call.pixels;
  for (size_t pixel = 0; pixel < size_t{kOutputs} * kOutputs; ++pixel) {
    float* const to = call.pixels->outputs[pixel];
    if (to == nullptr) continue;
    staged.outputs[pixel] = stage[pixel];
    if (call.bias == nullptr) std::copy_n(to + call.channel, call.channels, stage[pixel]);
  }
  plain.pixels = &staged;
  plain.channel = 0;
  plain.finish = {};
  StoreTile<kOutputs, ActivationKind::kNone>(plain);
  for (size_t pixel = 0; pixel < size_t{kOutputs} * kOutputs; ++pixel) {
    if (call.pixels->outputs[pixel] == nullptr) continue;
    TileFinish finish = call.finish;
    finish.outputs = &call.pixels->outputs[pixel];
    finish.residuals = &call.pixels->residuals[pixel];
    StoreStage({.finish = &finish,
                .stage = stage[pixel],
                .stride = kPanelChannels,
                .channel = call.channel,
                .pixels = 1,
                .columns = call.channels},
               &activation);
  }
}

template <int kOutputs>
class WinogradPass {
 public:
  WinogradPass(const PanelArgs& args, RowRange rows)
      : args_(args),
        operands_(OperandsOf(args)),
        tiles_(args, rows),
        space_(kOutputs, tiles_.count(), operands_.inputs, operands_.columns) {
    const uint64_t dequantized = WinogradDequantizedFloats(*args.node, operands_.columns);
    CORACLE_CHECK(args.workspace.size() >= (dequantized + space_.Floats()) * sizeof(float));
    dequantized_ = reinterpret_cast<float*>(args.workspace.data());
    weights_ = dequantized_ + dequantized;
    inputs_ = weights_ + space_.Inputs();
    sums_ = weights_ + space_.Sums();
    columns_ = std::min(operands_.columns, kTileColumnsMax);
    register_tiles_ = TilesFor(columns_ / kTileLanes);
    tile_pixels_ = TilePixels(columns_ / kTileLanes);
    in_registers_ = true;
    if (operands_.completes) {
      in_registers_ = FinishInRegisters(args.node->activation, finish_);
      finish_.residual = args.node->residual;
    }
  }

  void Multiply() {
    const uint32_t count = tiles_.count();
    const auto passes = static_cast<uint32_t>(CeilDiv(count, kWinogradTilesMax));
    if (passes > 1) {
      for (const WeightStrip& strip : kWeightStrips<kOutputs>) {
        if (strip.rows > 0)
          Transform(strip, weights_ + strip.first * kInputs * space_.weight_stride);
      }
    }
    for (uint32_t pass = 0; pass < passes; ++pass) {
      const auto begin = static_cast<uint32_t>(uint64_t{count} * pass / passes);
      const auto end = static_cast<uint32_t>(uint64_t{count} * (pass + 1) / passes);
      MultiplyTiles(begin, end - begin, passes > 1);
    }
  }

 private:
  static constexpr uint32_t kInputs = WinogradAxis<kOutputs>::kInputs;

  void Transform(const WeightStrip& strip, float* to) const {
    const PanelText& layout = operands_.layout;
    const size_t columns = operands_.columns;
    if (!IsDequantized(layout.type())) {
      const auto* taps = reinterpret_cast<const float*>(operands_.text + layout.RowAt(0));
      return strip.transform(taps, operands_.inputs * columns, to, space_.weight_stride);
    }
    constexpr uint32_t kInputsBlock = kWinogradDequantizedInputs;
    for (uint32_t input = 0; input < operands_.inputs; input += kInputsBlock) {
      for (uint32_t tap = strip.tap_begin; tap < strip.tap_end; ++tap) {
        const uint32_t row = tap * operands_.inputs + input;
        DequantizeRows(layout, operands_.text, row, row + kInputsBlock,
                       dequantized_ + tap * kInputsBlock * columns);
      }
      strip.transform(dequantized_, kInputsBlock * columns, to + input * columns,
                      space_.weight_stride);
    }
  }

  void MultiplyTiles(uint32_t begin, uint32_t count, bool weights_ready) {
    WinogradInputs inputs;
    for (uint32_t i = 0; i < count; ++i) {
      tiles_.Inputs(begin + i, operands_.input_begin, inputs);
      TransformInputs<kOutputs>(inputs, operands_.inputs, inputs_ + size_t{i} * operands_.inputs,
                                space_.input_stride);
    }
    for (const WeightStrip& strip : kWeightStrips<kOutputs>) {
      if (strip.rows == 0) continue;
      const uint32_t first = strip.first * kInputs;
      if (!weights_ready) Transform(strip, weights_);
      const float* weights = weights_ + (weights_ready ? first * space_.weight_stride : 0);
      for (uint32_t i = 0; i < strip.rows * kInputs; ++i) {
        MultiplyMatrix(inputs_ + (first + i) * space_.input_stride,
                       weights + i * space_.weight_stride, sums_ + (first + i) * space_.sum_stride,
                       count);
      }
    }
    for (uint32_t i = 0; i < count; ++i) Store(begin + i, sums_ + size_t{i} * operands_.columns);
  }

  /// sums [rows, columns] = inputs [rows, K] weights [K, columns].
  void MultiplyMatrix(const float* inputs, const float* weights, float* sums, uint32_t rows) {
    const uint32_t blocks = static_cast<uint32_t>(CeilDiv(rows, tile_pixels_));
    const float* table[kTilePixelsMax];
    float* outputs[kTilePixelsMax];
    TileCall call;
    call.table = table;
    call.lengths = &operands_.inputs;
    call.segment_count = 1;
    call.weight_stride = operands_.columns;
    call.bias = kZeroBias;
    call.finish.outputs = outputs;
    call.finish.last_count = kTileLanes;
    for (uint32_t block = 0; block < blocks; ++block) {
      const uint32_t first = rows * block / blocks;
      const uint32_t pixels = rows * (block + 1) / blocks - first;
      for (uint32_t i = 0; i < pixels; ++i) {
        table[i] = inputs + size_t{first + i} * operands_.inputs;
        outputs[i] = sums + size_t{first + i} * operands_.columns;
      }
      for (uint32_t column = 0; column < operands_.columns; column += columns_) {
        call.weights = weights + column;
        call.channel = static_cast<ptrdiff_t>(column);
        AskAhead(call, args_.prefetch, operands_.inputs / 2);
        register_tiles_[pixels - 1](call);
      }
    }
  }

  void Store(uint32_t tile, const float* sums) const {
    WinogradOutputPixels pixels;
    tiles_.Outputs(tile, pixels);
    const OutputCall call{.sums = sums,
                          .stride = space_.sum_stride,
                          .bias = operands_.bias,
                          .channel = static_cast<ptrdiff_t>(operands_.channel_begin),
                          .channels = operands_.channels,
                          .pixels = &pixels,
                          .finish = finish_};
    if (!in_registers_) return StoreTileStaged<kOutputs>(call, args_.node->activation);
    switch (finish_.function) {
      case RegisterFinish::kStore:
        return StoreTile<kOutputs, ActivationKind::kNone>(call);
      case RegisterFinish::kClamp:
        return StoreTile<kOutputs, ActivationKind::kClip>(call);
      case RegisterFinish::kLeakyRelu:
        return StoreTile<kOutputs, ActivationKind::kLeakyRelu>(call);
      case RegisterFinish::kHardSwish:
        return StoreTile<kOutputs, ActivationKind::kHardSwish>(call);
    }
  }

  const PanelArgs& args_;
  const Operands operands_;
  const WinogradTiles tiles_;
  const WinogradSpace space_;
  float* dequantized_ = nullptr;  // of quantised weights: the taps of a few inputs
  float* weights_ = nullptr;
  float* inputs_ = nullptr;
  float* sums_ = nullptr;
  uint32_t columns_ = 0;  // of a register tile
  uint32_t tile_pixels_ = 0;
  TileFunctions register_tiles_ = nullptr;
  bool in_registers_ = true;
  TileFinish finish_;
};

void Winograd(const PanelArgs& args, RowRange rows) {
  if (rows.count() == 0) return;
  if (WinogradOutputs(*args.node) == 4) {
    WinogradPass<4>(args, rows).Multiply();
  } else {
    WinogradPass<2>(args, rows).Multiply();
  }
}

}  // namespace

PanelKernel WinogradForTarget() { return &Winograd; }

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace coracle::kernels {

PanelKernel SimdWinograd(int64_t hwy_target) {
  CORACLE_CALL_FOR_TARGET(hwy_target, WinogradForTarget)
}

}  // namespace coracle::kernels
#endif
