// Conv and ConvTranspose. Formulas: ONNX Operators.md; odd totals of output_shape as onnxruntime.
#include <fmt/format.h>

#include <algorithm>

#include "graph/verify.h"
#include "import/onnx/emit.h"
#include "import/onnx/products.h"

namespace coracle::import {

using graph::TensorIndex;

Result<Convolution> ReadConvolution(const OnnxNode& node, const GraphBuilder& builder,
                                    TensorIndex x, ConstantPtr constant) {
  Convolution conv;
  conv.x = x;
  conv.x_shape = builder.shape(x);
  conv.weight = std::move(constant);
  const Shape& weight = conv.weight->shape;
  if (weight.rank() != conv.x_shape.rank() || weight.rank() < 3 || weight.Elements() == 0) {
    return node.Unsupported(fmt::format("its weight {} does not fit its input {}",
                                        weight.ToString(), conv.x_shape.ToString()));
  }
  const std::span<const uint32_t> kernel = weight.dims().subspan(2);
  TRY_ASSIGN(const std::vector<int64_t> stated, node.Ints("kernel_shape"));
  if (!stated.empty() && !std::equal(stated.begin(), stated.end(), kernel.begin(), kernel.end())) {
    return node.Malformed("its kernel_shape is not its weight's");
  }
  TRY_ASSIGN(conv.window, ReadWindow(node, conv.x_shape, kernel));
  TRY_ASSIGN(const int64_t groups, node.Int("group", 1));
  if (groups < 1 || groups > graph::kMaxDimension) return node.Malformed("its group is wrong");
  conv.groups = static_cast<uint32_t>(groups);
  return conv;
}

namespace {

Result<std::shared_ptr<graph::WeightSource>> MakeSource(const OnnxNode& node,
                                                        uint32_t out_channels) {
  auto source = std::make_shared<graph::WeightSource>();
  if (node.HasInput(2)) {
    TRY_ASSIGN(source->bias, node.Floats(2));
    if (source->bias.size() != out_channels) {
      return node.Malformed(
          fmt::format("its bias has {} values for {} channels", source->bias.size(), out_channels));
    }
  }
  return source;
}

/// Emits `attrs` on the input as an image, and gives the result the model's rank again.
EmitResult EmitOnImage(const OnnxNode& node, GraphBuilder& builder, const Convolution& conv,
                       graph::Attributes attrs, std::shared_ptr<graph::WeightSource> source,
                       NodeParts parts) {
  TRY_ASSIGN(const TensorIndex image,
             builder.Reshape(node.name() + "/image", conv.x, AsImage(conv.x_shape)));
  source->weight = WithShape(conv.weight, AsImage(conv.weight->shape));
  parts.attrs = std::move(attrs);
  parts.inputs.insert(parts.inputs.begin(), image);
  parts.source = std::move(source);
  TRY_ASSIGN(const TensorIndex out, builder.Emit(node.name(), std::move(parts)));
  if (conv.x_shape.rank() == 4) return out;
  const Shape& shape = builder.shape(out);
  return builder.Reshape(node.name() + "/row", out, {shape[0], shape[1], shape[3]});
}

/// Pads of ConvTranspose from its auto_pad or output_shape. `output_pad` grows where the wanted
/// output is larger than what the window makes.
Status ResolveTransposedPads(const OnnxNode& node, WindowAttributes& window,
                             std::vector<uint32_t>& output_pad) {
  TRY_ASSIGN(std::vector<int64_t> wanted, node.Ints("output_shape"));
  const size_t count = window.axes.size();
  // Some models state N and C as well.
  if (wanted.size() == count + 2) wanted.erase(wanted.begin(), wanted.begin() + 2);
  if (!wanted.empty() && wanted.size() != count) return node.Malformed("its output_shape is wrong");
  const bool same =
      window.auto_pad == AutoPad::kSameUpper || window.auto_pad == AutoPad::kSameLower;
  if (wanted.empty() && !same) return {};
  for (size_t i = 0; i < count; ++i) {
    WindowAxis& axis = window.axes[i];
    const int64_t target = wanted.empty() ? int64_t{axis.in} * axis.stride : wanted[i];
    const int64_t full =
        (int64_t{axis.in} - 1) * axis.stride + output_pad[i] + static_cast<int64_t>(axis.Reach());
    const int64_t total = std::max<int64_t>(full - target, 0);
    const int64_t missing = std::max<int64_t>(target - full, 0);
    if (target < 1 || total > graph::kMaxKernel || missing > graph::kMaxKernel) {
      return node.Unsupported(fmt::format("cannot make {} of {}", target, full));
    }
    const bool upper = window.auto_pad == AutoPad::kSameUpper;
    axis.pad_begin = static_cast<uint32_t>(upper ? total / 2 : total - total / 2);
    axis.pad_end = static_cast<uint32_t>(total) - axis.pad_begin;
    output_pad[i] += static_cast<uint32_t>(missing);
  }
  return {};
}

}  // namespace

EmitResult EmitConvolution(const OnnxNode& node, GraphBuilder& builder, Convolution conv,
                           std::shared_ptr<graph::WeightSource> source, NodeParts parts) {
  const Shape& weight = conv.weight->shape;
  const uint32_t out_channels = weight[0];
  if (uint64_t{weight[1]} * conv.groups != conv.x_shape[1]) {
    return node.Malformed(fmt::format("its weight {} in {} groups does not fit {} input channels",
                                      weight.ToString(), conv.groups, conv.x_shape[1]));
  }
  ResolveSamePads(conv.window);
  const graph::Conv attrs{ToGraphWindow(conv.window), conv.groups, out_channels};
  return EmitOnImage(node, builder, conv, attrs, std::move(source), std::move(parts));
}

EmitResult EmitConv(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  TRY_ASSIGN(ConstantPtr weight, node.FloatConstant(1));
  TRY_ASSIGN(Convolution conv, ReadConvolution(node, builder, x, std::move(weight)));
  TRY_ASSIGN(auto source, MakeSource(node, conv.weight->shape[0]));
  return EmitConvolution(node, builder, std::move(conv), std::move(source), {});
}

EmitResult EmitConvTranspose(const OnnxNode& node, GraphBuilder& builder) {
  TRY_ASSIGN(const TensorIndex x, node.Tensor(0));
  TRY_ASSIGN(ConstantPtr constant, node.FloatConstant(1));
  TRY_ASSIGN(Convolution conv, ReadConvolution(node, builder, x, std::move(constant)));
  const Shape& weight = conv.weight->shape;
  const uint64_t out_channels = uint64_t{weight[1]} * conv.groups;
  if (weight[0] != conv.x_shape[1] || out_channels > graph::kMaxDimension) {
    return node.Malformed(fmt::format("its weight {} in {} groups does not fit {} input channels",
                                      weight.ToString(), conv.groups, conv.x_shape[1]));
  }
  TRY_ASSIGN(auto output_pad, SpatialInts(node, "output_padding", conv.window.axes.size(), 0, 0));
  TRY(ResolveTransposedPads(node, conv.window, output_pad));
  const auto channels = static_cast<uint32_t>(out_channels);
  TRY_ASSIGN(auto source, MakeSource(node, channels));
  graph::ConvTranspose attrs{ToGraphWindow(conv.window), conv.groups, channels};
  attrs.output_pad_h = output_pad.size() == 2 ? output_pad[0] : 0;
  attrs.output_pad_w = output_pad.back();
  return EmitOnImage(node, builder, conv, attrs, std::move(source), {});
}

}  // namespace coracle::import
