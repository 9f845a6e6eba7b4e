#include "onednn_layer.h"

#include <dnnl.hpp>
#include <unordered_map>
#include <utility>

namespace coracle::bench {
namespace {

using dnnl::memory;
using kernels::LayerShape;

memory::dim Dim(uint32_t value) { return static_cast<memory::dim>(value); }

memory::desc AnyFormat(const memory::dims& dims) {
  return {dims, memory::data_type::f32, memory::format_tag::any};
}

class Layer : public OneDnnLayer {
 public:
  Layer() : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {}

  void Run() override {
    primitive_.execute(stream_, arguments_);
    stream_.wait();
  }

 protected:
  void Fill(int argument, const memory::desc& desc) {
    memory filled(desc, engine_);
    auto* floats = static_cast<float*>(filled.get_data_handle());
    for (size_t i = 0; i < desc.get_size() / sizeof(float); ++i) {
      floats[i] = static_cast<float>(i % 17) * 0.1F - 0.8F;
    }
    arguments_.insert({argument, std::move(filled)});
  }

  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::primitive primitive_;
  std::unordered_map<int, memory> arguments_;
};

/// Requires: none, Relu, LeakyRelu or Clip.
dnnl::primitive_attr WithActivation(const LayerShape& shape) {
  dnnl::primitive_attr attributes;
  const graph::Activation& f = shape.activation;
  dnnl::post_ops operations;
  if (f.kind == graph::ActivationKind::kClip) {
    operations.append_eltwise(1.0F, dnnl::algorithm::eltwise_clip, f.a, f.b);
  } else if (f.kind != graph::ActivationKind::kNone) {
    const bool leaky = f.kind == graph::ActivationKind::kLeakyRelu;
    operations.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, leaky ? f.a : 0.0F, 0.0F);
  }
  attributes.set_post_ops(operations);
  return attributes;
}

class ConvLayer : public Layer {
 public:
  explicit ConvLayer(const LayerShape& s) {
    const graph::Window& w = s.window;
    const auto extent = [](uint32_t in, uint32_t kernel, uint32_t stride, uint32_t pads) {
      return Dim((in + pads - kernel) / stride + 1);
    };
    const memory::dim out_h = extent(s.height, w.kernel_h, w.stride_h, w.pad_top + w.pad_bottom);
    const memory::dim out_w = extent(s.width, w.kernel_w, w.stride_w, w.pad_left + w.pad_right);
    memory::dims weights{Dim(s.outputs), Dim(s.inputs / s.groups), Dim(w.kernel_h),
                         Dim(w.kernel_w)};
    if (s.groups > 1) {
      weights = {Dim(s.groups), Dim(s.outputs / s.groups), Dim(s.inputs / s.groups),
                 Dim(w.kernel_h), Dim(w.kernel_w)};
    }
    const dnnl::convolution_forward::desc desc(
        dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
        AnyFormat({Dim(s.images), Dim(s.inputs), Dim(s.height), Dim(s.width)}), AnyFormat(weights),
        AnyFormat({Dim(s.outputs)}), AnyFormat({Dim(s.images), Dim(s.outputs), out_h, out_w}),
        {Dim(w.stride_h), Dim(w.stride_w)}, {Dim(w.pad_top), Dim(w.pad_left)},
        {Dim(w.pad_bottom), Dim(w.pad_right)});
    const dnnl::convolution_forward::primitive_desc primitive(desc, WithActivation(s), engine_);
    Fill(DNNL_ARG_SRC, primitive.src_desc());
    Fill(DNNL_ARG_WEIGHTS, primitive.weights_desc());
    Fill(DNNL_ARG_BIAS, primitive.bias_desc());
    Fill(DNNL_ARG_DST, primitive.dst_desc());
    primitive_ = dnnl::convolution_forward(primitive);
  }
};

class TransposedLayer : public Layer {
 public:
  explicit TransposedLayer(const LayerShape& s) {
    const graph::Window& w = s.window;
    const auto extent = [](uint32_t in, uint32_t kernel, uint32_t stride, uint32_t pads) {
      return Dim((in - 1) * stride + kernel - pads);
    };
    const memory::dim out_h = extent(s.height, w.kernel_h, w.stride_h, w.pad_top + w.pad_bottom);
    const memory::dim out_w = extent(s.width, w.kernel_w, w.stride_w, w.pad_left + w.pad_right);
    const dnnl::deconvolution_forward::desc desc(
        dnnl::prop_kind::forward_inference, dnnl::algorithm::deconvolution_direct,
        AnyFormat({Dim(s.images), Dim(s.inputs), Dim(s.height), Dim(s.width)}),
        AnyFormat({Dim(s.outputs), Dim(s.inputs), Dim(w.kernel_h), Dim(w.kernel_w)}),
        AnyFormat({Dim(s.outputs)}), AnyFormat({Dim(s.images), Dim(s.outputs), out_h, out_w}),
        {Dim(w.stride_h), Dim(w.stride_w)}, {Dim(w.pad_top), Dim(w.pad_left)},
        {Dim(w.pad_bottom), Dim(w.pad_right)});
    const dnnl::deconvolution_forward::primitive_desc primitive(desc, engine_);
    Fill(DNNL_ARG_SRC, primitive.src_desc());
    Fill(DNNL_ARG_WEIGHTS, primitive.weights_desc());
    Fill(DNNL_ARG_BIAS, primitive.bias_desc());
    Fill(DNNL_ARG_DST, primitive.dst_desc());
    primitive_ = dnnl::deconvolution_forward(primitive);
  }
};

class DenseLayer : public Layer {
 public:
  explicit DenseLayer(const LayerShape& s) {
    const memory::dim rows = Dim(s.images * s.height * s.width);
    const dnnl::inner_product_forward::desc desc(
        dnnl::prop_kind::forward_inference, AnyFormat({rows, Dim(s.inputs)}),
        AnyFormat({Dim(s.outputs), Dim(s.inputs)}), AnyFormat({Dim(s.outputs)}),
        AnyFormat({rows, Dim(s.outputs)}));
    const dnnl::inner_product_forward::primitive_desc primitive(desc, WithActivation(s), engine_);
    Fill(DNNL_ARG_SRC, primitive.src_desc());
    Fill(DNNL_ARG_WEIGHTS, primitive.weights_desc());
    Fill(DNNL_ARG_BIAS, primitive.bias_desc());
    Fill(DNNL_ARG_DST, primitive.dst_desc());
    primitive_ = dnnl::inner_product_forward(primitive);
  }
};

}  // namespace

std::unique_ptr<OneDnnLayer> OneDnnLayer::Make(const LayerShape& shape) {
  if (shape.kind == graph::OpKind::kConv) return std::make_unique<ConvLayer>(shape);
  if (shape.kind == graph::OpKind::kDense) return std::make_unique<DenseLayer>(shape);
  if (shape.kind == graph::OpKind::kConvTranspose && shape.groups == 1) {
    return std::make_unique<TransposedLayer>(shape);
  }
  return nullptr;
}

}  // namespace coracle::bench
