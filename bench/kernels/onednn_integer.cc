#include <dnnl.hpp>
#include <unordered_map>
#include <utility>

#include "onednn_layer.h"

namespace coracle::bench {
namespace {

using dnnl::memory;
using kernels::LayerShape;

memory::dim Dim(uint32_t value) { return static_cast<memory::dim>(value); }

memory::desc Any(const memory::dims& dims, memory::data_type type) {
  return {dims, type, memory::format_tag::any};
}

/// uint8 x int8 to uint8, one scale per output channel, relu fused.
class IntegerConv : public OneDnnLayer {
 public:
  explicit IntegerConv(const LayerShape& s)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    const graph::Window& w = s.window;
    const auto extent = [](uint32_t in, uint32_t kernel, uint32_t stride, uint32_t pads) {
      return Dim((in + pads - kernel) / stride + 1);
    };
    const memory::dim out_h = extent(s.height, w.kernel_h, w.stride_h, w.pad_top + w.pad_bottom);
    const memory::dim out_w = extent(s.width, w.kernel_w, w.stride_w, w.pad_left + w.pad_right);
    memory::dims weights{Dim(s.outputs), Dim(s.inputs), Dim(w.kernel_h), Dim(w.kernel_w)};
    if (s.groups > 1) {
      weights = {Dim(s.groups), Dim(s.outputs / s.groups), Dim(s.inputs / s.groups),
                 Dim(w.kernel_h), Dim(w.kernel_w)};
    }
    const dnnl::convolution_forward::desc desc(
        dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
        Any({Dim(s.images), Dim(s.inputs), Dim(s.height), Dim(s.width)}, memory::data_type::u8),
        Any(weights, memory::data_type::s8), Any({Dim(s.outputs)}, memory::data_type::f32),
        Any({Dim(s.images), Dim(s.outputs), out_h, out_w}, memory::data_type::u8),
        {Dim(w.stride_h), Dim(w.stride_w)}, {Dim(w.pad_top), Dim(w.pad_left)},
        {Dim(w.pad_bottom), Dim(w.pad_right)});
    dnnl::primitive_attr attributes;
    attributes.set_output_scales(2, std::vector<float>(s.outputs, 0.001F));
    dnnl::post_ops operations;
    operations.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, 0.0F, 0.0F);
    attributes.set_post_ops(operations);
    const dnnl::convolution_forward::primitive_desc primitive(desc, attributes, engine_);
    Fill(DNNL_ARG_SRC, primitive.src_desc());
    Fill(DNNL_ARG_WEIGHTS, primitive.weights_desc());
    Fill(DNNL_ARG_BIAS, primitive.bias_desc());
    Fill(DNNL_ARG_DST, primitive.dst_desc());
    primitive_ = dnnl::convolution_forward(primitive);
  }

  void Run() override {
    primitive_.execute(stream_, arguments_);
    stream_.wait();
  }

 private:
  void Fill(int argument, const memory::desc& desc) {
    memory filled(desc, engine_);
    auto* bytes = static_cast<uint8_t*>(filled.get_data_handle());
    for (size_t i = 0; i < desc.get_size(); ++i) bytes[i] = static_cast<uint8_t>(i % 61);
    arguments_.insert({argument, std::move(filled)});
  }

  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::primitive primitive_;
  std::unordered_map<int, memory> arguments_;
};

}  // namespace

std::unique_ptr<OneDnnLayer> OneDnnLayer::MakeInteger(const LayerShape& shape) {
  if (shape.kind != graph::OpKind::kConv) return nullptr;
  return std::make_unique<IntegerConv>(shape);
}

void OneDnnLayer::HoldToVnni() { dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx512_core_vnni); }

}  // namespace coracle::bench
