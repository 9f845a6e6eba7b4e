#include "plan/test_networks.h"

#include "base/check.h"
#include "fmt/format.h"
#include "graph/infer.h"
#include "graph/verify.h"
#include "kernels/packing.h"

namespace coracle::plan {

using graph::Stage;
using graph::TensorIndex;
using T = TensorIndex;

namespace {

graph::Window SquareWindow(uint32_t kernel, uint32_t stride) {
  graph::Window window;
  window.kernel_h = window.kernel_w = kernel;
  window.stride_h = window.stride_w = stride;
  window.pad_top = window.pad_left = (kernel - 1) / 2;
  window.pad_bottom = window.pad_right = kernel - 1 - window.pad_top;
  return window;
}

std::vector<uint32_t> IdentityPerm(uint32_t rank) {
  std::vector<uint32_t> perm;
  for (uint32_t axis = 0; axis < rank; ++axis) perm.push_back(axis);
  return perm;
}

/// Of the node's output.
DType TypeOf(const graph::Node& node, DType input) {
  switch (node.kind()) {
    case graph::OpKind::kQuantize:
    case graph::OpKind::kQuantizedAdd:
      return DType::kUint8;
    case graph::OpKind::kPool:
    case graph::OpKind::kResize:
    case graph::OpKind::kConcat:
    case graph::OpKind::kSlice:
    case graph::OpKind::kTranspose:
    case graph::OpKind::kReshape:
    case graph::OpKind::kPad:
      return input;
    default:
      return DType::kFloat32;
  }
}

}  // namespace

T NetworkBuilder::Append(graph::Attributes attrs, std::vector<T> inputs, Shape declared,
                         graph::Residual residual) {
  graph::Node node;
  node.name = fmt::format("n{}", graph_.nodes.size());
  node.attrs = std::move(attrs);
  node.inputs = std::move(inputs);
  node.residual = residual;
  std::vector<Shape> shapes;
  const size_t operands = node.inputs.size() - (residual != graph::Residual::kNone ? 1 : 0);
  for (size_t i = 0; i < operands; ++i) shapes.push_back(graph_.shape(node.inputs[i]));
  auto shape = graph::InferShape(node, shapes, Stage::kRows, declared);
  if (!shape.ok()) CORACLE_CHECK(shape.error().message.empty());
  node.output = graph_.AddTensor(fmt::format("t{}", graph_.tensors.size()), *shape,
                                 TypeOf(node, graph_.tensor(node.inputs[0]).dtype));
  const T out = node.output;
  graph_.AddNode(std::move(node));
  return out;
}

T NetworkBuilder::Input(Shape shape) {
  graph_.stage = Stage::kRows;
  const T tensor = graph_.AddTensor(fmt::format("in{}", graph_.inputs.size()), shape);
  graph_.inputs.push_back({graph_.tensor(tensor).name, tensor, shape, IdentityPerm(shape.rank())});
  return tensor;
}

T NetworkBuilder::Conv(T in, uint32_t channels, uint32_t kernel, uint32_t stride) {
  return Append(graph::Conv{SquareWindow(kernel, stride), 1, channels}, {in});
}

T NetworkBuilder::ConvOf(T in, const graph::Conv& conv) { return Append(conv, {in}); }

T NetworkBuilder::Transposed(T in, uint32_t channels, uint32_t kernel, uint32_t stride) {
  graph::ConvTranspose conv;
  conv.window.kernel_h = conv.window.kernel_w = kernel;
  conv.window.stride_h = conv.window.stride_w = stride;
  conv.out_channels = channels;
  return Append(conv, {in});
}

T NetworkBuilder::Winograd(T in, uint32_t channels, graph::ConvAlgorithm algorithm, T residual) {
  const graph::Conv conv{SquareWindow(3, 1), 1, channels, algorithm};
  if (residual == NoIndex<T>()) return Append(conv, {in});
  return Append(conv, {in, residual}, {}, graph::Residual::kBeforeActivation);
}

T NetworkBuilder::Depthwise(T in, uint32_t kernel, uint32_t stride) {
  const uint32_t channels = graph_.shape(in).Back(0);
  return Append(graph::Conv{SquareWindow(kernel, stride), channels, channels}, {in});
}

T NetworkBuilder::ConvAdd(T in, T residual, uint32_t channels, uint32_t kernel) {
  return Append(graph::Conv{SquareWindow(kernel, 1), 1, channels}, {in, residual}, {},
                graph::Residual::kBeforeActivation);
}

T NetworkBuilder::Pool(T in, uint32_t kernel, uint32_t stride) {
  graph::Pool pool;
  pool.window.kernel_h = pool.window.kernel_w = kernel;
  pool.window.stride_h = pool.window.stride_w = stride;
  if (kernel == 3) {
    pool.window.pad_top = pool.window.pad_left = 1;
    pool.window.pad_bottom = pool.window.pad_right = 1;
  }
  const Shape& shape = graph_.shape(in);
  const auto extent = [&](uint32_t side) {
    return (side + (kernel == 3 ? 2 : 0) - kernel) / stride + 1;
  };
  return Append(pool, {in}, Shape{shape[0], extent(shape[1]), extent(shape[2]), shape[3]});
}

T NetworkBuilder::GlobalPool(T in) {
  graph::Reduce reduce;
  for (uint32_t axis = 1; axis + 1 < graph_.shape(in).rank(); ++axis) reduce.axes.push_back(axis);
  return Append(reduce, {in});
}

T NetworkBuilder::Dense(T in, uint32_t features) { return Append(graph::Dense{features}, {in}); }
T NetworkBuilder::Affine(T in) { return Append(graph::Affine{}, {in}); }

T NetworkBuilder::Relu(T in) {
  const T out = Append(graph::Unary{}, {in});
  graph_.nodes.back().activation.kind = graph::ActivationKind::kRelu;
  return out;
}

T NetworkBuilder::Add(T a, T b) { return Append(graph::Binary{}, {a, b}); }

T NetworkBuilder::Upsample(T in, uint32_t factor) {
  graph::Resize resize;
  resize.scale_h = resize.scale_w = static_cast<float>(factor);
  Shape shape = graph_.shape(in);
  shape.Set(1, shape[1] * factor);
  shape.Set(2, shape[2] * factor);
  return Append(resize, {in}, shape);
}

T NetworkBuilder::Softmax(T in) {
  return Append(graph::Softmax{graph_.shape(in).rank() - 1}, {in});
}

T NetworkBuilder::Concat(std::vector<T> inputs, uint32_t axis) {
  return Append(graph::Concat{axis}, std::move(inputs));
}

T NetworkBuilder::Slice(T in, uint32_t axis, uint32_t begin, uint32_t count) {
  Shape shape = graph_.shape(in);
  graph::Slice slice;
  slice.starts.assign(shape.rank(), 0);
  slice.steps.assign(shape.rank(), 1);
  slice.starts[axis] = begin;
  shape.Set(axis, count);
  return Append(slice, {in}, shape);
}

T NetworkBuilder::Reshape(T in, Shape shape) { return Append(graph::Reshape{}, {in}, shape); }

T NetworkBuilder::Recurrence(const graph::Recurrence& cell, std::vector<T> inputs) {
  return Append(cell, std::move(inputs));
}

T NetworkBuilder::Attention(T q, T k, T v) {
  graph::Attention attention;
  attention.scale = 0.4F;
  return Append(attention, {q, k, v});
}

T NetworkBuilder::Transpose(T in, std::vector<uint32_t> perm) {
  return Append(graph::Transpose{std::move(perm)}, {in});
}

T NetworkBuilder::Pad(T in, graph::PadMode mode, uint32_t amount) {
  const std::vector<uint32_t> pads = {0, amount, amount, 0};
  return Append(graph::Pad{mode, 3, pads, pads}, {in});
}

T NetworkBuilder::Quantize(T in, T range) {
  if (range == NoIndex<T>()) return Append(graph::Quantize{{0.05F, 7}}, {in});
  return Append(graph::Quantize{{}, graph::QuantizationSource::kTensor}, {in, range});
}

T NetworkBuilder::Dequantize(T in, T range) {
  if (range == NoIndex<T>()) return Append(graph::Dequantize{{0.05F, 7}}, {in});
  return Append(graph::Dequantize{{}, graph::QuantizationSource::kTensor}, {in, range});
}

T NetworkBuilder::RangeOf(T in) {
  return Append(graph::QuantizationRange{}, {Append(graph::RowExtremes{}, {in})});
}

T NetworkBuilder::QuantizedAdd(T a, T b) {
  return Append(graph::QuantizedAdd{{0.05F, 7}, {0.05F, 7}, {0.1F, 7}}, {a, b});
}

void NetworkBuilder::Output(T tensor) {
  const Shape& shape = graph_.shape(tensor);
  graph_.outputs.push_back(
      {fmt::format("out{}", graph_.outputs.size()), tensor, shape, IdentityPerm(shape.rank())});
}

graph::Graph NetworkBuilder::Finish() {
  uint32_t index = 0;
  for (graph::Node& node : graph_.nodes) {
    node.weights = kernels::CutIntoChunks(graph_, node, static_cast<graph::ChunkIndex>(index));
    index += static_cast<uint32_t>(node.weights.chunks.size());
  }
  const Status status = graph::Verify(graph_);
  if (!status.ok()) CORACLE_CHECK(status.error().message.empty());
  return std::move(graph_);
}

graph::Graph MakeVgg16() {
  NetworkBuilder net;
  T x = net.Input({1, 224, 224, 3});
  const uint32_t repeats[] = {2, 2, 3, 3, 3};
  const uint32_t channels[] = {64, 128, 256, 512, 512};
  for (int stage = 0; stage < 5; ++stage) {
    for (uint32_t i = 0; i < repeats[stage]; ++i) x = net.Conv(x, channels[stage], 3);
    x = net.Pool(x, 2, 2);
  }
  x = net.Reshape(x, {1, 25088});
  x = net.Dense(net.Dense(net.Dense(x, 4096), 4096), 1000);
  net.Output(net.Softmax(x));
  return net.Finish();
}

graph::Graph MakeResNet50() {
  NetworkBuilder net;
  T x = net.Pool(net.Conv(net.Input({1, 224, 224, 3}), 64, 7, 2), 3, 2);
  const uint32_t repeats[] = {3, 4, 6, 3};
  for (uint32_t stage = 0; stage < 4; ++stage) {
    const uint32_t width = 64U << stage;
    for (uint32_t i = 0; i < repeats[stage]; ++i) {
      const uint32_t stride = i == 0 && stage > 0 ? 2 : 1;
      const T shortcut = i == 0 ? net.Conv(x, width * 4, 1, stride) : x;
      const T reduced = net.Conv(net.Conv(x, width, 1), width, 3, stride);
      x = net.ConvAdd(reduced, shortcut, width * 4, 1);
    }
  }
  x = net.Reshape(net.GlobalPool(x), {1, 2048});
  net.Output(net.Softmax(net.Dense(x, 1000)));
  return net.Finish();
}

graph::Graph MakeMobileNetV2() {
  NetworkBuilder net;
  T x = net.Conv(net.Input({1, 224, 224, 3}), 32, 3, 2);
  x = net.Conv(net.Depthwise(x, 3), 16, 1);
  struct Stage {
    uint32_t expansion, channels, repeats, stride;
  };
  for (const Stage& stage : {Stage{6, 24, 2, 2}, Stage{6, 32, 3, 2}, Stage{6, 64, 4, 2},
                             Stage{6, 96, 3, 1}, Stage{6, 160, 3, 2}, Stage{6, 320, 1, 1}}) {
    for (uint32_t i = 0; i < stage.repeats; ++i) {
      const uint32_t in_channels = net.ShapeOf(x).Back(0);
      const T wide = net.Conv(x, in_channels * stage.expansion, 1);
      const T filtered = net.Depthwise(wide, 3, i == 0 ? stage.stride : 1);
      x = i == 0 ? net.Conv(filtered, stage.channels, 1)
                 : net.ConvAdd(filtered, x, stage.channels, 1);
    }
  }
  x = net.Reshape(net.GlobalPool(net.Conv(x, 1280, 1)), {1, 1280});
  net.Output(net.Dense(x, 1000));
  return net.Finish();
}

graph::Graph MakeDenseNet121() {
  NetworkBuilder net;
  T x = net.Pool(net.Conv(net.Input({1, 224, 224, 3}), 64, 7, 2), 3, 2);
  const uint32_t layers[] = {6, 12, 24, 16};
  for (uint32_t block = 0; block < 4; ++block) {
    for (uint32_t i = 0; i < layers[block]; ++i) {
      const T grown = net.Conv(net.Conv(net.Affine(x), 128, 1), 32, 3);
      x = net.Concat({x, grown}, 3);
    }
    x = net.Affine(x);
    if (block < 3) x = net.Pool(net.Conv(x, net.ShapeOf(x).Back(0) / 2, 1), 2, 2);
  }
  x = net.Reshape(net.GlobalPool(x), {1, 1024});
  net.Output(net.Dense(x, 1000));
  return net.Finish();
}

graph::Graph MakeUNet(uint32_t side) {
  NetworkBuilder net;
  T x = net.Input({1, side, side, 1});
  std::vector<T> skips;
  for (uint32_t level = 0; level < 4; ++level) {
    x = net.Conv(net.Conv(x, 16U << level, 3), 16U << level, 3);
    skips.push_back(x);
    x = net.Pool(x, 2, 2);
  }
  x = net.Conv(x, 256, 3);
  for (uint32_t level = 4; level-- > 0;) {
    const T up = net.Conv(net.Upsample(x, 2), 16U << level, 1);
    x = net.Conv(net.Concat({skips[level], up}, 3), 16U << level, 3);
  }
  net.Output(net.Conv(x, 2, 1));
  return net.Finish();
}

graph::Graph MakeChain(uint32_t nodes, uint32_t side) {
  NetworkBuilder net;
  T x = net.Conv(net.Input({1, side, side, 16}), 32, 3);
  T shortcut = x;
  for (uint32_t i = 0; i < nodes; ++i) {
    const bool joins = i % 3 == 2;
    x = joins ? net.ConvAdd(x, shortcut, 32, 1) : net.Conv(x, 32, 3);
    if (joins) shortcut = x;
  }
  net.Output(x);
  return net.Finish();
}

}  // namespace coracle::plan
