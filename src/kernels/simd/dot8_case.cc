#include "kernels/simd/dot8_case.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "base/check.h"
#include "graph/infer.h"

namespace coracle::kernels {
namespace {

/// An image in memory with wider pixels, longer rows and possibly a ring, everything else random;
/// ends with its last pixel.
class Operand {
 public:
  Operand(const graph::RowShape& extent, uint32_t element_bytes, RowRange kept, bool ring,
          Random& random)
      : kept_(ring ? kept : RowRange{0, extent.rows}) {
    before_ = Sometimes(random, 2) ? 0 : Pick(random, 1, 20);
    rows_.pixel_stride = static_cast<ptrdiff_t>(extent.channels) + before_;
    rows_.row_stride = rows_.pixel_stride * extent.pixels + (Sometimes(random, 2) ? 0 : 5);
    rows_.ring_rows = ring ? std::max(1U, kept.count() + Pick(random, 0, 2)) : 0;
    rows_.rows = extent.rows;
    rows_.pixels = extent.pixels;
    rows_.channels = extent.channels;
    rows_.element_bytes = element_bytes;
    const uint32_t stored = ring ? rows_.ring_rows : extent.rows;
    bytes_.resize(static_cast<size_t>(rows_.row_stride) * stored * element_bytes);
    bytes_.resize(bytes_.size() -
                  static_cast<size_t>(rows_.row_stride -
                                      rows_.pixel_stride * (ptrdiff_t{extent.pixels} - 1) -
                                      before_ - ptrdiff_t{extent.channels}) *
                      element_bytes);
    for (std::byte& byte : bytes_) byte = static_cast<std::byte>(random());
    rows_.base = bytes_.data() + size_t{before_} * element_bytes;
    before_run_ = bytes_;
  }
  const Rows& rows() const { return rows_; }

  /// Calls copy(here, there, bytes) for every pixel kept of the dense image `there`.
  void ForEachPixel(std::byte* there, RowRange range, const auto& copy) {
    const size_t pixel = size_t{rows_.channels} * rows_.element_bytes;
    for (uint32_t y = range.begin; y < range.end; ++y) {
      for (uint32_t x = 0; x < rows_.pixels; ++x) {
        auto* const here = rows_.element_bytes == 1
                               ? reinterpret_cast<std::byte*>(rows_.Pixel<uint8_t>(y, x))
                               : reinterpret_cast<std::byte*>(rows_.Pixel(y, x));
        copy(here, there + (size_t{y} * rows_.pixels + x) * pixel, pixel);
      }
    }
  }
  /// True if nothing but the rows `range` has changed.
  bool OthersUntouched(RowRange range) {
    ForEachPixel(nullptr, range, [this](std::byte* here, const std::byte*, size_t bytes) {
      std::copy_n(here, bytes, before_run_.data() + (here - bytes_.data()));
    });
    return bytes_ == before_run_;
  }

 private:
  Rows rows_;
  RowRange kept_;
  uint32_t before_ = 0;
  std::vector<std::byte> bytes_;
  std::vector<std::byte> before_run_;
};

float Uniform(Random& random, float low, float high) {
  return std::uniform_real_distribution<float>(low, high)(random);
}

}  // namespace

IntegerCase::IntegerCase(const LayerShape& shape, const IntegerShape& integer, uint64_t seed)
    : shape_(shape), integer_(integer) {
  Random random(static_cast<uint32_t>(seed));
  graph_.stage = graph::Stage::kRows;
  const Shape in{shape.images, shape.height, shape.width, shape.inputs};
  graph::Node node;
  node.name = "layer";
  node.inputs = {graph_.AddTensor("in", in, DType::kUint8)};
  if (shape.kind == graph::OpKind::kConv) {
    node.attrs = graph::Conv{shape.window, shape.groups, shape.outputs};
  } else {
    node.attrs = graph::Dense{shape.outputs};
  }
  const Result<Shape> out = graph::InferShape(node, std::span(&in, 1), graph::Stage::kRows, {});
  CORACLE_CHECK(out.ok());
  if (integer.in_source == graph::QuantizationSource::kTensor) {
    node.inputs.push_back(graph_.AddTensor("range", {shape.images, 1, 2}));
  }
  node.output = graph_.AddTensor("out", out.value(), integer.output);
  node.activation = shape.activation;
  node.weight_type = graph::WeightType::kDot8;
  node.integer = {integer.in_source, integer.in_zero, integer.out};
  in_ = graph::RowsOf(in);
  out_ = graph::RowsOf(out.value());

  const uint32_t taps =
      shape.kind == graph::OpKind::kConv ? shape.window.kernel_h * shape.window.kernel_w : 1;
  const auto byte = [&random] {
    const uint32_t pick = Pick(random, 0, 15);
    return pick == 0 ? 0U : pick == 1 ? 255U : Pick(random, 0, 255);
  };
  weights_.resize(size_t{shape.inputs} / shape.groups * shape.outputs * taps);
  for (int8_t& w : weights_) w = static_cast<int8_t>(static_cast<int>(byte()) - 128);
  input_.resize(in.Elements());
  for (uint8_t& x : input_) x = static_cast<uint8_t>(byte());
  auto weight = std::make_shared<graph::Constant>();
  weight->dtype = DType::kInt8;
  weight->bytes = std::as_bytes(std::span(weights_));
  auto source = std::make_shared<graph::WeightSource>();
  source->weight = weight;
  if (shape.kind == graph::OpKind::kDense) {
    source->dense_order = graph::DenseOrder::kOutputsByInputs;
  }
  for (uint32_t n = 0; n < shape.outputs; ++n) {
    source->scale.push_back(integer.multiplier * Uniform(random, 0.5F, 1.5F));
    source->bias.push_back(Uniform(random, -1, 1));
    if (integer.integer_bias) {
      source->integer_bias.push_back(static_cast<int32_t>(Pick(random, 0, 20000)) - 10000);
    }
    if (integer.weight_zeros) {
      source->weight_zero.push_back(static_cast<int32_t>(Pick(random, 0, 255)) - 128);
    }
  }
  for (uint32_t i = 0; i < shape.images; ++i) {
    ranges_.push_back(Uniform(random, 0.01F, 2));
    ranges_.push_back(static_cast<float>(Pick(random, 0, 255)));
  }
  node.source = source;
  graph_.AddNode(std::move(node));
  SetLayout(CutIntoChunks(graph_, graph_.nodes[0], graph::ChunkIndex{}));
}

void IntegerCase::SetLayout(graph::WeightLayout layout) {
  graph_.nodes[0].weights = std::move(layout);
  const Status status = CheckLayout(graph_, node(), node().weights);
  CORACLE_CHECK(status.ok());
  texts_.clear();
  skips_.clear();
  for (const graph::ChunkDescriptor& chunk : node().weights.chunks) {
    std::vector<std::byte> text(chunk.bytes + 64);
    skips_.push_back(64 - reinterpret_cast<uintptr_t>(text.data()) % 64);
    PackChunk(graph_, node(), chunk, std::span(text).subspan(skips_.back(), chunk.bytes));
    texts_.push_back(std::move(text));
  }
}

uint8_t IntegerCase::InZero(uint32_t image) const {
  return integer_.in_source == graph::QuantizationSource::kTensor
             ? static_cast<uint8_t>(ranges_[2 * image + 1])
             : integer_.in_zero;
}

/// The integer sum, by the definition.
double IntegerCase::SumAt(uint32_t image, uint32_t y, uint32_t x, uint32_t channel) const {
  const graph::Window w = shape_.kind == graph::OpKind::kConv ? shape_.window : graph::Window{};
  const uint32_t inputs = shape_.inputs / shape_.groups;
  const uint32_t group = channel / (shape_.outputs / shape_.groups);
  const graph::WeightSource& source = *node().source;
  const int64_t weight_zero = source.weight_zero.empty() ? 0 : source.weight_zero[channel];
  int64_t sum = source.integer_bias.empty() ? 0 : source.integer_bias[channel];
  for (uint32_t ky = 0; ky < w.kernel_h; ++ky) {
    for (uint32_t kx = 0; kx < w.kernel_w; ++kx) {
      const int64_t in_y = int64_t{y} * w.stride_h - w.pad_top + int64_t{ky} * w.dilation_h;
      const int64_t in_x = int64_t{x} * w.stride_w - w.pad_left + int64_t{kx} * w.dilation_w;
      if (in_y < 0 || in_y >= shape_.height || in_x < 0 || in_x >= shape_.width) continue;
      const size_t pixel =
          (size_t{image} * shape_.height + static_cast<size_t>(in_y)) * shape_.width +
          static_cast<size_t>(in_x);
      for (uint32_t c = 0; c < inputs; ++c) {
        const int64_t value = input_[pixel * shape_.inputs + group * inputs + c];
        const int64_t weight =
            weights_[((size_t{channel} * inputs + c) * w.kernel_h + ky) * w.kernel_w + kx];
        sum += (value - InZero(image)) * (weight - weight_zero);
      }
    }
  }
  return static_cast<double>(sum);
}

std::vector<float> IntegerCase::Expected() const {
  std::vector<float> result;
  const graph::WeightSource& source = *node().source;
  for (uint32_t image = 0; image < shape_.images; ++image) {
    for (uint32_t y = 0; y < out_.rows; ++y) {
      for (uint32_t x = 0; x < out_.pixels; ++x) {
        for (uint32_t n = 0; n < shape_.outputs; ++n) {
          float multiplier = source.scale[n];
          if (integer_.in_source == graph::QuantizationSource::kTensor) {
            multiplier = ranges_[2 * image] * multiplier;
          }
          const float scaled = static_cast<float>(SumAt(image, y, x, n)) * multiplier;
          const float value = ExactActivation(shape_.activation, scaled + source.bias[n]);
          const float q = std::nearbyint(value / integer_.out.scale) + integer_.out.zero;
          result.push_back(integer_.output == DType::kUint8 ? std::clamp(q, 0.0F, 255.0F) : value);
        }
      }
    }
  }
  return result;
}

void IntegerCase::ComputeRows(PanelKernel kernel, RowRange rows, Random& random,
                              std::vector<float>& result) const {
  const RowRange read = InputRows(graph_, node(), 0, rows);
  const uint32_t element = integer_.output == DType::kUint8 ? 1 : sizeof(float);
  std::vector<Operand> inputs;
  std::vector<Operand> outputs;
  std::vector<std::vector<Rows>> operands(shape_.images);
  std::vector<Image> images(shape_.images);
  const bool in_ring = Sometimes(random, 2);
  const bool out_ring = Sometimes(random, 2);
  const Random layout = random;  // the images lie alike
  for (uint32_t i = 0; i < shape_.images; ++i) {
    Random same = layout;
    inputs.emplace_back(in_, 1, read, in_ring, same);
    outputs.emplace_back(out_, element, rows, out_ring, same);
    const size_t bytes = size_t{in_.rows} * in_.RowElements();
    auto* const dense = const_cast<uint8_t*>(input_.data()) + i * bytes;
    inputs.back().ForEachPixel(
        reinterpret_cast<std::byte*>(dense), read,
        [](std::byte* here, const std::byte* there, size_t n) { std::copy_n(there, n, here); });
  }
  for (uint32_t i = 0; i < shape_.images; ++i) {
    operands[i].push_back(inputs[i].rows());
    if (node().inputs.size() == 2) {
      operands[i].push_back({.base = const_cast<float*>(&ranges_[2 * i]),
                             .row_stride = 2,
                             .pixel_stride = 2,
                             .rows = 1,
                             .pixels = 1,
                             .channels = 2});
    }
    images[i] = {operands[i], outputs[i].rows()};
  }
  random.discard(3);
  std::vector<std::byte> workspace(WorkspaceBytes(graph_, node()) + 64);
  const auto skip = 64 - reinterpret_cast<uintptr_t>(workspace.data()) % 64;
  std::byte ahead[1000];
  Prefetch prefetch{ahead, ahead + sizeof(ahead)};
  for (size_t c = 0; c < node().weights.chunks.size(); ++c) {
    PanelArgs args{.graph = &graph_,
                   .node = &node(),
                   .images = images,
                   .chunk = &node().weights.chunks[c],
                   .weights = Text(c),
                   .workspace = std::span(workspace).subspan(skip, workspace.size() - 64)};
    if (Sometimes(random, 2)) args.prefetch = &prefetch;
    kernel(args, rows);
    EXPECT_LE(prefetch.next, prefetch.end);
  }
  for (uint32_t i = 0; i < shape_.images; ++i) {
    float* to = &result[(size_t{i} * out_.rows + rows.begin) * out_.RowElements()];
    outputs[i].ForEachPixel(nullptr, rows, [&](const std::byte* here, const std::byte*, size_t n) {
      for (size_t at = 0; at < n; at += element) {
        if (element == 1) {
          *to++ = static_cast<float>(here[at]);
        } else {
          std::memcpy(to++, here + at, sizeof(float));
        }
      }
    });
    EXPECT_TRUE(outputs[i].OthersUntouched(rows)) << "wrote outside of its rows and channels";
    EXPECT_TRUE(inputs[i].OthersUntouched(read)) << "wrote to its input";
  }
}

std::vector<float> IntegerCase::Compute(PanelKernel kernel, Random& random) const {
  std::vector<float> result(graph_.shape(node().output).Elements());
  for (uint32_t y = 0; y < out_.rows;) {
    const RowRange rows{y, Pick(random, y + 1, out_.rows)};
    ComputeRows(kernel, rows, random, result);
    y = rows.end;
  }
  return result;
}

}  // namespace coracle::kernels
