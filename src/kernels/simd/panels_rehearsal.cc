#include "kernels/simd/panels_rehearsal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "hwy/targets.h"
#include "kernels/panel_text.h"

namespace coracle::kernels {
namespace {

using graph::OpKind;
using graph::Residual;

/// Images in memory with wider pixels, longer rows and possibly a ring; NaN wherever no operand is.
class Operand {
 public:
  Operand(uint32_t images, uint32_t height, uint32_t width, uint32_t channels, uint32_t ring,
          Random& random)
      : before_(Sometimes(random, 2) ? 0 : Pick(random, 1, 20)) {
    rows_.pixel_stride = static_cast<ptrdiff_t>(channels) + before_;
    if (Sometimes(random, 2)) rows_.pixel_stride += Pick(random, 1, 20);
    rows_.row_stride = rows_.pixel_stride * width + (Sometimes(random, 2) ? 0 : 5);
    rows_.ring_rows = ring;
    rows_.rows = height;
    rows_.pixels = width;
    rows_.channels = channels;
    image_floats_ = static_cast<size_t>(rows_.row_stride) * (ring == 0 ? height : ring) + 32;
    floats_.assign(image_floats_ * images + 32, std::numeric_limits<float>::quiet_NaN());
  }

  Rows Image(uint32_t image) {
    Rows rows = rows_;
    rows.base = floats_.data() + 16 + image * image_floats_ + before_;
    return rows;
  }
  /// Copies rows [begin, end) of dense images in or out.
  void Copy(std::vector<float>& dense, RowRange range, bool in) {
    const size_t pixels = rows_.pixels;
    for (uint32_t image = 0; image * image_floats_ + 32 < floats_.size(); ++image) {
      for (uint32_t y = range.begin; y < range.end; ++y) {
        for (uint32_t x = 0; x < pixels; ++x) {
          float* here = Image(image).Pixel(y, x);
          float* there = &dense[((size_t{image} * rows_.rows + y) * pixels + x) * rows_.channels];
          std::memcpy(in ? here : there, in ? there : here, rows_.channels * sizeof(float));
          if (!in) std::fill_n(here, rows_.channels, std::numeric_limits<float>::quiet_NaN());
        }
      }
    }
  }
  bool AllNan() const {
    return std::all_of(floats_.begin(), floats_.end(), [](float x) { return x != x; });
  }

 private:
  Rows rows_;
  uint32_t before_;
  size_t image_floats_ = 0;
  std::vector<float> floats_;
};

/// Input rows that output rows `rows` read, clipped.
RowRange RowsRead(const LayerCase& layer, RowRange rows) {
  const LayerShape& shape = layer.shape();
  const graph::Window& w = shape.window;
  int64_t low = rows.begin;
  int64_t high = rows.end;
  const int64_t span = int64_t{w.dilation_h} * (w.kernel_h - 1);
  if (const uint32_t granule = RowGranule(layer.node()); granule > 1) {
    low = int64_t{rows.begin / granule * granule} - w.pad_top;
    high = int64_t{(rows.end + granule - 1) / granule * granule} - w.pad_top + span;
  } else if (shape.kind == OpKind::kConv) {
    low = int64_t{rows.begin} * w.stride_h - w.pad_top;
    high = (int64_t{rows.end} - 1) * w.stride_h - w.pad_top + span + 1;
  } else if (shape.kind == OpKind::kConvTranspose) {
    low = (int64_t{rows.begin} + w.pad_top - span) / w.stride_h - 1;
    high = (int64_t{rows.end} + w.pad_top) / w.stride_h + 1;
  }
  const int64_t begin = std::clamp<int64_t>(low, 0, shape.height);
  return {static_cast<uint32_t>(begin),
          static_cast<uint32_t>(std::clamp<int64_t>(high, begin, shape.height))};
}

}  // namespace

uint32_t Pick(Random& random, uint32_t low, uint32_t high) {
  return std::uniform_int_distribution<uint32_t>(low, high)(random);
}
bool Sometimes(Random& random, uint32_t one_in) { return Pick(random, 1, one_in) == 1; }

uint32_t TextBytes(const LayerCase& layer, const PanelGeometry& panel, uint32_t k_begin,
                   uint32_t rows) {
  const PanelText text(layer.node().weight_type, panel.width, rows, k_begin == 0);
  return static_cast<uint32_t>(text.Bytes());
}

std::vector<int64_t> DistinctTargets(PanelKernel (*kernel_for)(int64_t)) {
  std::vector<int64_t> targets;
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    const auto same = [&](int64_t other) { return kernel_for(other) == kernel_for(target); };
    if (std::none_of(targets.begin(), targets.end(), same)) targets.push_back(target);
  }
  return targets;
}

std::vector<float> ComputeInPieces(PanelKernel kernel, const LayerCase& layer,
                                   std::vector<float> input, std::vector<float> residual,
                                   Random& random) {
  const LayerShape& shape = layer.shape();
  std::vector<float> result(layer.OutputElements());
  std::vector<std::byte> workspace(WorkspaceBytes(layer.graph(), layer.node()) + 64);
  const auto skip = 64 - reinterpret_cast<uintptr_t>(workspace.data()) % 64;
  const bool has_residual = shape.residual != Residual::kNone;
  for (uint32_t y = 0; y < layer.output_height();) {
    const RowRange rows{y, Pick(random, y + 1, layer.output_height())};
    y = rows.end;
    const RowRange read = RowsRead(layer, rows);
    const uint32_t in_ring = Sometimes(random, 2) ? 0 : read.count() + Pick(random, 1, 3);
    const uint32_t out_ring = Sometimes(random, 2) ? 0 : rows.count() + Pick(random, 0, 3);
    Operand in(shape.images, shape.height, shape.width, shape.inputs, in_ring, random);
    Operand out(shape.images, layer.output_height(), layer.output_width(), shape.outputs, out_ring,
                random);
    Operand res(shape.images, layer.output_height(), layer.output_width(), shape.outputs, 0,
                random);
    in.Copy(input, read, true);
    if (has_residual) res.Copy(residual, rows, true);
    std::vector<std::vector<Rows>> inputs(shape.images);
    std::vector<Image> images(shape.images);
    for (uint32_t i = 0; i < shape.images; ++i) {
      inputs[i].push_back(in.Image(i));
      if (has_residual) inputs[i].push_back(res.Image(i));
      images[i] = {inputs[i], out.Image(i)};
    }
    std::byte ahead[1000];
    Prefetch prefetch{ahead, ahead + sizeof(ahead)};
    for (size_t c = 0; c < layer.node().weights.chunks.size(); ++c) {
      PanelArgs args{.graph = &layer.graph(),
                     .node = &layer.node(),
                     .images = images,
                     .chunk = &layer.node().weights.chunks[c],
                     .weights = layer.Text(c),
                     .workspace = std::span(workspace).subspan(skip, workspace.size() - 64)};
      if (Sometimes(random, 2)) args.prefetch = &prefetch;
      kernel(args, rows);
      EXPECT_LE(prefetch.next, prefetch.end);
    }
    out.Copy(result, rows, false);
    EXPECT_TRUE(out.AllNan()) << "wrote outside of its rows and channels";
  }
  return result;
}

}  // namespace coracle::kernels
