// Convolutions of narrow groups: the outputs of several groups in one vector. Included once per
// Highway target.
//
// A vector of input channels holds those of as many groups as a vector of outputs. For each tap and
// channel c of a group, every lane takes its own group's channel c (one permutation) and multiplies
// it by a row of weights woven from those groups' panels. Each output remains one FMA chain in
// packed K order.

#if defined(CORACLE_KERNELS_SIMD_PANELS_WOVEN_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CORACLE_KERNELS_SIMD_PANELS_WOVEN_INL_H_
#undef CORACLE_KERNELS_SIMD_PANELS_WOVEN_INL_H_
#else
#define CORACLE_KERNELS_SIMD_PANELS_WOVEN_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "hwy/highway.h"
#include "kernels/panel_workspace.h"
#include "kernels/simd/panels_finish-inl.h"
#include "kernels/simd/panels_run.h"
#include "kernels/simd/panels_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {

inline constexpr uint32_t kWovenPixels = kTileLanes == 16 ? 8 : 4;

struct WovenCall {
  const float* const* table = nullptr;  ///< tap t of pixel i at [t * pixels + i]
  uint32_t taps = 0;
  const float* weights = nullptr;  ///< bias, then per tap and channel of a group a row of lanes
  ptrdiff_t channel = 0;           ///< of the first lane, as the outputs count
  ptrdiff_t input = 0;             ///< of the first lane, as the table counts
  uint32_t lanes = 0;              ///< in use
  TileFinish finish = {};
};

/// Lane i's index of channel `c` of its own group.
template <int kGroup>
HWY_INLINE auto ChannelOfEachGroup(int c) {
  HWY_ALIGN int32_t indices[kTileLanes];
  for (uint32_t i = 0; i < kTileLanes; ++i) {
    indices[i] = static_cast<int32_t>(i / kGroup * kGroup) + c;
  }
  return hn::SetTableIndices(FloatTag(), indices);
}

template <int kGroup, int kPixels>
HWY_NOINLINE void RunWoven(const WovenCall& call) {
  const FloatTag d;
  const float* weights = call.weights;
  FloatVec sums[kPixels][1];
  CORACLE_UNROLL for (int i = 0; i < kPixels; ++i) sums[i][0] = hn::Load(d, weights);
  weights += kTileLanes;
  decltype(ChannelOfEachGroup<kGroup>(0)) channels[kGroup];
  CORACLE_UNROLL for (int c = 0; c < kGroup; ++c) channels[c] = ChannelOfEachGroup<kGroup>(c);
  const float* const* table = call.table;
  for (uint32_t tap = 0; tap < call.taps; ++tap, table += kPixels) {
    FloatVec inputs[kPixels];
    CORACLE_UNROLL for (int i = 0; i < kPixels; ++i) {
      inputs[i] = LoadUpTo(table[i] + call.input, call.lanes);
    }
    CORACLE_UNROLL for (int c = 0; c < kGroup; ++c) {
      const FloatVec row = hn::Load(d, weights);
      weights += kTileLanes;
      CORACLE_UNROLL for (int i = 0; i < kPixels; ++i) {
        AddProduct(hn::TableLookupLanes(inputs[i], channels[c]), row, sums[i][0]);
      }
    }
  }
  FinishTile<kPixels, 1>(call.finish, call.channel, sums);
}

using WovenFunction = void (*)(const WovenCall&);

/// By number of pixels, less one.
template <int kGroup, size_t... kIndex>
const WovenFunction* WovenTilesOf(std::index_sequence<kIndex...>) {
  static constexpr WovenFunction kFunctions[] = {
      &RunWoven<kGroup, static_cast<int>(kIndex) + 1>...};
  return kFunctions;
}

inline const WovenFunction* WovenTilesFor(uint32_t group_channels) {
  const std::make_index_sequence<kWovenPixels> pixels;
  return group_channels == 2   ? WovenTilesOf<2>(pixels)
         : group_channels == 4 ? WovenTilesOf<4>(pixels)
                               : WovenTilesOf<8>(pixels);
}

/// One chunk of several whole groups.
class WovenPass {
 public:
  /// False where a chunk goes group by group: one panel, more taps than a table's segments hold, or
  /// an activation that needs a stage.
  static bool Takes(const PanelArgs& args) {
    const graph::ChunkDescriptor& chunk = *args.chunk;
    if (chunk.panel_count == 1 || !WeavesGroups(*args.graph, *args.node)) return false;
    const PanelGeometry panel = PanelAt(*args.graph, *args.node, chunk.panel_begin);
    TileFinish finish;
    return uint64_t{chunk.panel_count} * panel.channel_count <= kZeroPixelFloats &&
           FinishInRegisters(args.node->activation, finish);
  }

  explicit WovenPass(const PanelArgs& args)
      : args_(args),
        first_(PanelAt(*args.graph, *args.node, args.chunk->panel_begin)),
        group_(first_.channel_count),
        woven_(reinterpret_cast<float*>(args.workspace.data())),
        tiles_(WovenTilesFor(group_)) {
    call_.taps = first_.k_count / group_;
    call_.weights = woven_;
    FinishInRegisters(args.node->activation, call_.finish);
    call_.finish.residual = args.node->residual;
  }

  void Multiply(RowRange rows) {
    const uint32_t channels = args_.chunk->panel_count * group_;
    PanelPart part = PartOf(*args_.graph, *args_.node, first_);
    part.inputs = channels;
    TileBlocks blocks({.images = args_.images,
                       .rows = rows,
                       .has_residual = args_.node->residual != graph::Residual::kNone,
                       .part = part,
                       .kind = SegmentKind::kTaps,
                       .k_begin = 0,
                       .k_end = call_.taps * channels,
                       .tile_pixels = kWovenPixels,
                       .block_pixels = UINT32_MAX,
                       .workspace = {}});
    for (auto tiles = blocks.Next(); !tiles.empty(); tiles = blocks.Next()) {
      for (uint32_t channel = 0; channel < channels; channel += kTileLanes) {
        MultiplyLanes(tiles, channel, std::min(kTileLanes, channels - channel));
      }
    }
  }

 private:
  /// Channels [channel, channel + lanes) of the chunk's.
  void MultiplyLanes(std::span<const Tile> tiles, uint32_t channel, uint32_t lanes) {
    Weave(channel / group_, lanes / group_);
    call_.channel = static_cast<ptrdiff_t>(first_.channel_begin) + channel;
    call_.input = channel;
    call_.lanes = lanes;
    call_.finish.last_count = lanes;
    for (const Tile& tile : tiles) {
      call_.table = tile.table;
      call_.finish.outputs = tile.outputs;
      call_.finish.residuals = tile.residuals;
      tiles_[tile.pixels - 1](call_);
    }
  }

  /// Weaves `count` groups' panels, from the chunk's panel `begin` on: bias and rows of K.
  void Weave(uint32_t begin, uint32_t count) {
    const size_t rows = size_t{first_.k_count} + 1;
    if (count * group_ < kTileLanes) std::fill_n(woven_, rows * kTileLanes, 0.0F);
    for (uint32_t group = 0; group < count; ++group) {
      const float* panel =
          reinterpret_cast<const float*>(args_.weights) + (begin + group) * rows * first_.width;
      float* to = woven_ + size_t{group} * group_;
      for (size_t row = 0; row < rows; ++row, panel += first_.width, to += kTileLanes) {
        std::copy_n(panel, group_, to);
      }
    }
  }

  const PanelArgs& args_;
  const PanelGeometry first_;
  const uint32_t group_;  // channels of a group
  float* const woven_;
  const WovenFunction* const tiles_;
  WovenCall call_;
};

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
