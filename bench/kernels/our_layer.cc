#include "our_layer.h"

#include <cstdint>
#include <span>

#include "graph/chunk.h"

namespace coracle::bench {
namespace {

constexpr size_t kAlignment = 64;

/// The first element that lies at a multiple of kAlignment. Requires: kAlignment bytes to spare.
template <class T>
T* Aligned(std::vector<T>& elements) {
  const auto address = reinterpret_cast<uintptr_t>(elements.data());
  return elements.data() + (kAlignment - address % kAlignment) % kAlignment / sizeof(T);
}

kernels::Rows DenseRows(float* base, uint32_t rows, uint32_t pixels, uint32_t channels) {
  return {.base = base,
          .row_stride = static_cast<ptrdiff_t>(pixels) * channels,
          .pixel_stride = static_cast<ptrdiff_t>(channels),
          .rows = rows,
          .pixels = pixels,
          .channels = channels};
}

}  // namespace

OurLayer::OurLayer(const kernels::LayerShape& shape)
    : layer_(shape, 1),
      kernel_(graph::IsDepthwise(layer_.graph(), layer_.node()) ? kernels::SimdKernels().depthwise
                                                                : kernels::SimdKernels().panels),
      input_(layer_.RandomFloats(layer_.InputElements() + kAlignment, 2)),
      output_(layer_.OutputElements() + kAlignment),
      slot_(layer_.RandomFloats(graph::kMaxChunkBytes / sizeof(float) + kAlignment, 3)),
      workspace_(kernels::WorkspaceBytes(layer_.graph(), layer_.node()) + kAlignment) {
  input_rows_ = DenseRows(Aligned(input_), shape.height, shape.width, shape.inputs);
  output_rows_ =
      DenseRows(Aligned(output_), layer_.output_height(), layer_.output_width(), shape.outputs);
}

void OurLayer::Run() {
  const kernels::Image image{std::span(&input_rows_, 1), output_rows_};
  for (const graph::ChunkDescriptor& chunk : layer_.node().weights.chunks) {
    kernel_({.graph = &layer_.graph(),
             .node = &layer_.node(),
             .images = std::span(&image, 1),
             .chunk = &chunk,
             .weights = Aligned(slot_),
             .workspace = std::span(Aligned(workspace_), workspace_.size() - kAlignment)},
            {0, layer_.output_height()});
  }
}

}  // namespace coracle::bench
