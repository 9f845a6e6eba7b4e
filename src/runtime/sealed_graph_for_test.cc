#include "runtime/sealed_graph_for_test.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/check.h"
#include "host/fake/blob.h"
#include "host/fake/entropy.h"
#include "host/fake/random.h"
#include "kernels/packing.h"
#include "seal/chunk_coder.h"
#include "seal/writer.h"

namespace coracle::runtime {
namespace {

using graph::Activation;
using graph::ActivationKind;
using graph::TensorIndex;

class Builder {
 public:
  explicit Builder(uint64_t seed) : random_(seed) { graph.stage = graph::Stage::kRows; }

  float Value() {
    return static_cast<float>(static_cast<int64_t>(random_.Next() >> 40) - (1 << 23)) / (1 << 23);
  }

  std::shared_ptr<graph::WeightSource> Weights(Shape shape, uint32_t outputs, float scale) {
    auto storage = std::make_shared<std::vector<float>>(shape.Elements());
    for (float& value : *storage) value = Value() * scale;
    auto constant = std::make_shared<graph::Constant>();
    constant->shape = shape;
    constant->bytes = std::as_bytes(std::span(*storage));
    constant->owner = storage;
    auto source = std::make_shared<graph::WeightSource>();
    source->weight = constant;
    for (uint32_t i = 0; i < outputs; ++i) source->bias.push_back(Value());
    return source;
  }

  TensorIndex Add(const char* name, graph::Attributes attrs, std::vector<TensorIndex> inputs,
                  Shape shape, std::shared_ptr<graph::WeightSource> source = nullptr,
                  Activation activation = {}, graph::Residual residual = graph::Residual::kNone) {
    graph::Node node;
    node.name = name;
    node.attrs = std::move(attrs);
    node.inputs = std::move(inputs);
    node.output = graph.AddTensor(name, shape);
    node.activation = activation;
    node.residual = residual;
    node.source = std::move(source);
    const TensorIndex output = node.output;
    graph.AddNode(std::move(node));
    return output;
  }

  graph::Graph graph;

 private:
  host::SplitMix64 random_;
};

graph::Window Square(uint32_t kernel, uint32_t stride, uint32_t pad) {
  return {kernel, kernel, stride, stride, 1, 1, pad, pad, pad, pad};
}

class VectorSink final : public seal::Sink {
 public:
  explicit VectorSink(std::vector<std::byte>& bytes) : bytes_(bytes) {}
  Status WriteAt(uint64_t offset, Bytes bytes) override {
    bytes_.resize(std::max<size_t>(bytes_.size(), offset + bytes.size()));
    std::memcpy(bytes_.data() + offset, bytes.data(), bytes.size());
    return {};
  }

 private:
  std::vector<std::byte>& bytes_;
};

}  // namespace

graph::Graph MakeTestGraph(uint32_t size, uint64_t seed) {
  Builder b(seed);
  const Activation relu{ActivationKind::kRelu, 0, 0};
  const uint32_t half = size / 2;
  const TensorIndex x = b.graph.AddTensor("x", Shape{1, size, size, 3});
  const TensorIndex a = b.Add("conv1", graph::Conv{Square(3, 1, 1), 1, 24}, {x},
                              Shape{1, size, size, 24}, b.Weights({24, 3, 3, 3}, 24, 0.3F), relu);
  const TensorIndex d =
      b.Add("depthwise", graph::Conv{Square(3, 1, 1), 24, 24}, {a}, Shape{1, size, size, 24},
            b.Weights({24, 1, 3, 3}, 24, 0.4F), {ActivationKind::kHardSwish, 1.0F / 6, 0.5F});
  const TensorIndex r =
      b.Add("project", graph::Conv{Square(1, 1, 0), 1, 24}, {d, a}, Shape{1, size, size, 24},
            b.Weights({24, 24, 1, 1}, 24, 0.2F), relu, graph::Residual::kBeforeActivation);
  const TensorIndex p = b.Add(
      "pool", graph::Pool{graph::PoolKind::kMax, graph::PadCounting::kExcludePad, Square(2, 2, 0)},
      {r}, Shape{1, half, half, 24});
  const TensorIndex w =
      b.Add("wide", graph::Conv{Square(1, 1, 0), 1, 512}, {p}, Shape{1, half, half, 512},
            b.Weights({512, 24, 1, 1}, 512, 0.2F), relu);
  // 512 x 9 x 96 floats: 1.8 MB, so every panel's K is split over several chunks.
  const TensorIndex s =
      b.Add("split", graph::Conv{Square(3, 1, 1), 1, 96}, {w}, Shape{1, half, half, 96},
            b.Weights({96, 512, 3, 3}, 96, 0.02F), {ActivationKind::kLeakyRelu, 0.1F, 0});
  const TensorIndex g =
      b.Add("average", graph::Reduce{graph::ReduceKind::kMean, {1, 2}}, {s}, Shape{1, 1, 1, 96});
  const TensorIndex f = b.Add("flat", graph::Reshape{}, {g}, Shape{1, 96});
  const TensorIndex logits =
      b.Add("dense", graph::Dense{100}, {f}, Shape{1, 100}, b.Weights({96, 100}, 100, 0.3F));
  const TensorIndex y = b.Add("softmax", graph::Softmax{1}, {logits}, Shape{1, 100});
  b.graph.inputs.push_back({"x", x, Shape{1, 3, size, size}, {0, 2, 3, 1}});
  b.graph.outputs.push_back({"y", y, Shape{1, 100}, {0, 1}});
  uint32_t next = 0;
  for (graph::Node& node : b.graph.nodes) {
    node.weights = kernels::CutIntoChunks(b.graph, node, graph::ChunkIndex{next});
    next += static_cast<uint32_t>(node.weights.chunks.size());
  }
  return std::move(b.graph);
}

SealedGraph SealInMemory(const graph::Graph& graph, host::BlobAccess access, Coding coding) {
  SealedGraph sealed;
  VectorSink sink(sealed.file);
  host::InsecureDeterministicEntropy entropy(7);
  const crypto::Key256 key;
  Builder random(11);
  auto writer = seal::SealedWriter::Start(sink, key, entropy, crypto::PreferredAeadBackend());
  CORACLE_CHECK(writer.ok());
  auto coder = seal::ChunkCoder::Create();
  CORACLE_CHECK(coder.ok());
  seal::Manifest manifest;
  manifest.name = "test";
  manifest.graph = graph;
  for (graph::Node& node : manifest.graph.nodes) {
    for (graph::ChunkDescriptor& chunk : node.weights.chunks) {
      std::vector<float> plain(chunk.bytes / sizeof(float));
      if (node.source != nullptr) {
        kernels::PackChunk(graph, node, chunk, std::as_writable_bytes(std::span(plain)));
      } else {
        for (float& value : plain) value = random.Value() * 0.1F;
      }
      std::span<std::byte> text = std::as_writable_bytes(std::span(plain));
      std::optional<std::vector<std::byte>> coded;
      if (coding == Coding::kCoded) coded = (*coder)->Code(text);
      if (coded) {
        text = *coded;
        chunk.coded_bytes = static_cast<uint32_t>(text.size());
      }
      CORACLE_CHECK((*writer)->AppendChunk(text).ok());
    }
    node.source = nullptr;
  }
  CORACLE_CHECK((*writer)->Finish(std::move(manifest)).ok());
  sealed.blob = std::make_unique<host::FakeBlob>(sealed.file, access);
  auto model = seal::SealedModel::Open(*sealed.blob, key, crypto::PreferredAeadBackend());
  CORACLE_CHECK(model.ok());
  sealed.model = std::move(model).value();
  return sealed;
}

std::vector<float> TestInput(uint64_t elements) {
  Builder values(99);
  std::vector<float> input(elements);
  for (float& value : input) value = values.Value();
  return input;
}

}  // namespace coracle::runtime
