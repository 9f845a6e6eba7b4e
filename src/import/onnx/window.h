// Sliding windows as ONNX states them: kernel, strides, dilations, pads and auto_pad of Conv,
// ConvTranspose and the poolings, for images (N,C,H,W) and for rows (N,C,W), which are taken as
// images of height 1.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "import/graph_builder.h"
#include "import/onnx/onnx_node.h"

namespace coracle::import {

/// One spatial axis.
struct WindowAxis {
  uint32_t in = 1;
  uint32_t kernel = 1;
  uint32_t stride = 1;
  uint32_t dilation = 1;
  uint32_t pad_begin = 0;
  uint32_t pad_end = 0;
  uint64_t Reach() const { return uint64_t{kernel - 1} * dilation + 1; }
};

enum class AutoPad : uint8_t { kNotSet, kSameUpper, kSameLower, kValid };

struct WindowAttributes {
  AutoPad auto_pad = AutoPad::kNotSet;
  std::vector<WindowAxis> axes;  ///< H and W, or W alone
};

/// Attributes as they stand; pads are 0 where auto_pad is set. `x` is N,C,H,W or N,C,W; `kernel`
/// has an entry per spatial axis. Errors: kUnsupported for other ranks, and past graph::kMaxKernel.
Result<WindowAttributes> ReadWindow(const OnnxNode& node, const Shape& x,
                                    std::span<const uint32_t> kernel);

/// Fills in the pads of SAME_UPPER and SAME_LOWER (output = ceil(in / stride)).
void ResolveSamePads(WindowAttributes& window);

/// As the graph has it, one axis standing for W under H = 1.
graph::Window ToGraphWindow(const WindowAttributes& window);

/// N,C,W as N,C,1,W; N,C,H,W unchanged.
Shape AsImage(const Shape& x);

/// Spatial attribute of one entry per axis. Empty: all `otherwise`. Errors: kMalformed for another
/// count; kUnsupported outside of [least, graph::kMaxKernel].
Result<std::vector<uint32_t>> SpatialInts(const OnnxNode& node, std::string_view attribute,
                                          size_t count, int64_t least, uint32_t otherwise);

}  // namespace coracle::import
