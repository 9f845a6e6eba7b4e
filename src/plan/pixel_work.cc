#include "plan/pixel_work.h"

#include <cmath>
#include <variant>

#include "kernels/kernel.h"

namespace coracle::plan {
namespace {

using graph::ActivationKind;
using graph::Graph;
using graph::Node;
using graph::OpKind;
using graph::RowShape;

/// Activations that compute an exponential, a logarithm or the like.
bool Exponential(ActivationKind kind) {
  switch (kind) {
    case ActivationKind::kSigmoid:
    case ActivationKind::kSwish:
    case ActivationKind::kTanh:
    case ActivationKind::kExp:
    case ActivationKind::kErf:
    case ActivationKind::kGelu:
    case ActivationKind::kLog:
    case ActivationKind::kElu:
    case ActivationKind::kSoftplus:
    case ActivationKind::kMish:
      return true;
    default:
      return false;
  }
}

PixelWork PoolWork(const graph::Pool& pool, double vectors) {
  const double taps = double{1} * pool.window.kernel_h * pool.window.kernel_w;
  return {.pixels = 3, .vectors = 0.45 * taps * vectors, .far = 1};
}

/// Per output pixel of a Reduce: its kernel walks the input.
PixelWork ReduceWork(const Graph& graph, const Node& node) {
  const RowShape in = graph::RowsOf(graph.shape(node.inputs[0]));
  const RowShape out = graph::RowsOf(graph.shape(node.output));
  const double inputs = static_cast<double>(in.AllRows()) * in.pixels;
  const double share = inputs / (static_cast<double>(out.AllRows()) * out.pixels);
  const bool spatial = kernels::PerImage(graph, node);
  return {.pixels = spatial ? 0 : 4 * share,
          .vectors = 0.57 * share * Vectors(in.channels),
          .far = spatial ? 2.4 : 1};
}

/// Per row: its kernel walks all of it.
PixelWork ExtremesWork(const RowShape& in) {
  return {.vectors = 0.57 * in.pixels * Vectors(in.channels)};
}

}  // namespace

double Vectors(uint32_t channels) { return std::ceil(channels / kLanes); }

PixelWork WorkOf(const Graph& graph, const Node& node) {
  const RowShape out = graph::RowsOf(graph.shape(node.output));
  const double vectors = Vectors(out.channels);
  switch (node.kind()) {
    case OpKind::kPool:
      return PoolWork(std::get<graph::Pool>(node.attrs), vectors);
    case OpKind::kReduce:
      return ReduceWork(graph, node);
    case OpKind::kAffine:
      return {.pixels = 0.3, .vectors = vectors};
    case OpKind::kBinary:
      return {.pixels = 1, .vectors = vectors};
    case OpKind::kUnary:
      return {.pixels = 0, .vectors = 0};  // its activation
    case OpKind::kLayerNorm:
      return {.pixels = 4, .vectors = 1.6 * vectors};
    case OpKind::kSoftmax:
      return {.pixels = 10, .vectors = vectors, .exponentials = 0.5 * vectors};
    case OpKind::kDetectionHead:
      return {.exponentials = 1.6 * vectors};
    case OpKind::kResize:
      return std::get<graph::Resize>(node.attrs).mode == graph::ResizeMode::kLinear
                 ? PixelWork{.pixels = 3, .vectors = 1.5 * vectors, .far = 0.7}
                 : PixelWork{.pixels = 2, .vectors = 0.6 * vectors, .far = 0.7};
    case OpKind::kConcat:
      return {
          .pixels = 0.55 * static_cast<double>(node.inputs.size()), .vectors = vectors, .far = 2.2};
    case OpKind::kTranspose:
      return {.vectors = 3 * vectors, .far = 3};
    case OpKind::kQuantize:
    case OpKind::kDequantize:
      return {.pixels = 0.3, .vectors = vectors};
    case OpKind::kQuantizedAdd:
      return {.pixels = 0.3, .vectors = 2 * vectors};
    case OpKind::kRowExtremes:
      return ExtremesWork(graph::RowsOf(graph.shape(node.inputs[0])));
    case OpKind::kReorg:
      return {.vectors = 6 * vectors, .far = 3};
    default:  // Slice, Reshape, Pad: copies
      return {.pixels = 0.3, .vectors = 0.5 * vectors, .far = 2};
  }
}

double ActivationNs(ActivationKind kind, const MachineRates& rates) {
  if (kind == ActivationKind::kNone) return 0;
  return Exponential(kind) ? rates.exponential_ns : rates.vector_ns;
}

}  // namespace coracle::plan
