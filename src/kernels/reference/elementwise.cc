// Affine, Unary, Binary, DetectionHead.
#include <algorithm>
#include <cmath>

#include "base/checked.h"
#include "kernels/index_map.h"
#include "kernels/packing.h"
#include "kernels/reference/activation.h"
#include "kernels/reference/reference.h"

namespace coracle::kernels::reference {
namespace {

/// Calls f(in, out, channels) for every pixel of the rows.
template <typename F>
void ForEachPixel(const RowArgs& args, RowRange rows, F f) {
  for (const Image& image : args.images) {
    for (uint32_t y = rows.begin; y < rows.end; ++y) {
      for (uint32_t x = 0; x < image.output.pixels; ++x) {
        f(image.inputs[0].Pixel(y, x), image.output.Pixel(y, x), image.output.channels);
      }
    }
  }
}

float Combine(graph::BinaryKind kind, float a, float b) {
  switch (kind) {
    case graph::BinaryKind::kAdd:
      return a + b;
    case graph::BinaryKind::kSub:
      return a - b;
    case graph::BinaryKind::kMul:
      return a * b;
    case graph::BinaryKind::kDiv:
      return a / b;
    case graph::BinaryKind::kPow:
      return static_cast<float>(std::pow(double{a}, double{b}));
    case graph::BinaryKind::kMax:
      return std::max(a, b);
    case graph::BinaryKind::kMin:
      return std::min(a, b);
  }
  return 0;
}

void CombineElement(const RowArgs& args, const Image& image, uint64_t element) {
  const graph::Graph& graph = *args.graph;
  const auto& binary = std::get<graph::Binary>(args.node->attrs);
  const Shape& shape = graph.shape(args.node->output);
  const Index index = IndexOf(shape, element);
  const Shape& first = graph.shape(args.node->inputs[0]);
  const float x = *ElementAt(image.inputs[0], BroadcastElement(shape, first, index));
  float y = 0;
  if (binary.operands == graph::Operands::kTensors) {
    const Shape& second = graph.shape(args.node->inputs[1]);
    y = *ElementAt(image.inputs[1], BroadcastElement(shape, second, index));
  } else {
    y = args.constants[BroadcastElement(shape, binary.constant_shape, index)];
  }
  const bool swapped = binary.operands == graph::Operands::kConstantLeft;
  const float result = swapped ? Combine(binary.kind, y, x) : Combine(binary.kind, x, y);
  *ElementAt(image.output, element) = Activate(args.node->activation, result);
}

/// `box`: 4 coordinates, objectness, classes.
void ActivateBox(const graph::DetectionHead& head, const float* in, float* out) {
  const graph::Activation sigmoid{graph::ActivationKind::kSigmoid};
  for (uint32_t i = 0; i < 5; ++i) {
    out[i] = i == 2 || i == 3 ? in[i] : Activate(sigmoid, in[i]);
  }
  in += 5;
  out += 5;
  if (head.kind == graph::DetectionHeadKind::kYolo || head.softmax == 0) {
    for (uint32_t i = 0; i < head.classes; ++i) out[i] = Activate(sigmoid, in[i]);
    return;
  }
  if (head.classes == 0) return;
  const double largest = *std::max_element(in, in + head.classes);
  double sum = 0;
  for (uint32_t i = 0; i < head.classes; ++i) sum += std::exp(in[i] - largest);
  for (uint32_t i = 0; i < head.classes; ++i) {
    out[i] = static_cast<float>(std::exp(in[i] - largest) / sum);
  }
}

}  // namespace

void Affine(const RowArgs& args, RowRange rows) {
  ForEachPixel(args, rows, [&args](const float* in, float* out, uint32_t channels) {
    const float* scale = args.constants;
    const float* shift = scale + RoundUp(channels, kPanelGranule);
    for (uint32_t c = 0; c < channels; ++c) {
      out[c] = Activate(args.node->activation, std::fma(in[c], scale[c], shift[c]));
    }
  });
}

void Unary(const RowArgs& args, RowRange rows) {
  ForEachPixel(args, rows, [&args](const float* in, float* out, uint32_t channels) {
    for (uint32_t c = 0; c < channels; ++c) out[c] = Activate(args.node->activation, in[c]);
  });
}

void Binary(const RowArgs& args, RowRange rows) {
  for (const Image& image : args.images) {
    const uint64_t row = uint64_t{image.output.pixels} * image.output.channels;
    for (uint64_t e = rows.begin * row; e < rows.end * row; ++e) CombineElement(args, image, e);
  }
}

void DetectionHead(const RowArgs& args, RowRange rows) {
  const auto& head = std::get<graph::DetectionHead>(args.node->attrs);
  ForEachPixel(args, rows, [&head](const float* in, float* out, uint32_t /*channels*/) {
    const uint32_t entries = 5 + head.classes;
    for (uint32_t box = 0; box < head.boxes; ++box) {
      ActivateBox(head, in + size_t{box} * entries, out + size_t{box} * entries);
    }
  });
}

}  // namespace coracle::kernels::reference
