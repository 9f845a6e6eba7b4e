#include "seal/test_model.h"

#include <algorithm>

#include "base/index.h"
#include "host/fake/entropy.h"
#include "seal/chunk_coder.h"

namespace coracle::seal {
namespace {

using graph::ChunkDescriptor;
using graph::ChunkKind;
using graph::Node;
using graph::TensorIndex;

constexpr uint32_t kInputs = 4;
constexpr uint32_t kChannels = 48;

ChunkDescriptor Panels(uint32_t index, uint32_t k_begin, uint32_t k_count) {
  const uint32_t rows = k_count + (k_begin == 0 ? 1 : 0);
  return {.index = graph::ChunkIndex{index},
          .kind = ChunkKind::kPanels,
          .bytes = rows * kChannels * 4,
          .panel_begin = 0,
          .panel_count = 1,
          .k_begin = k_begin,
          .k_count = k_count};
}

ChunkDescriptor Constants(uint32_t index, uint32_t bytes) {
  return {.index = graph::ChunkIndex{index}, .kind = ChunkKind::kConstant, .bytes = bytes};
}

TensorIndex Append(graph::Graph& graph, const std::string& name, graph::Attributes attrs,
                   TensorIndex input, std::vector<ChunkDescriptor> chunks) {
  Node node;
  node.name = name;
  node.attrs = std::move(attrs);
  node.inputs = {input};
  node.output = graph.AddTensor(name, Shape{2, kChannels});
  node.weights.chunks = std::move(chunks);
  const TensorIndex output = node.output;
  graph.AddNode(std::move(node));
  return output;
}

/// Codes the chunk and says so in its descriptor, if it becomes smaller.
void Code(Manifest& manifest, size_t index, std::vector<std::byte>& chunk) {
  auto coded = ChunkCoder::Create().value()->Code(chunk);
  if (!coded) return;
  chunk = *std::move(coded);
  for (Node& node : manifest.graph.nodes) {
    for (ChunkDescriptor& descriptor : node.weights.chunks) {
      if (Position(descriptor.index) != index) continue;
      descriptor.coded_bytes = static_cast<uint32_t>(chunk.size());
    }
  }
}

}  // namespace

Status MemorySink::WriteAt(uint64_t offset, Bytes written) {
  bytes.resize(std::max<size_t>(bytes.size(), offset + written.size()));
  std::ranges::copy(written, bytes.begin() + static_cast<ptrdiff_t>(offset));
  return {};
}

Status FailingSink::WriteAt(uint64_t offset, Bytes bytes) {
  if (calls_left_ == 0) return Error{Code::kUnavailable, "the sink is full"};
  --calls_left_;
  return inner.WriteAt(offset, bytes);
}

crypto::Key256 TestKey(uint8_t seed) {
  crypto::Key256 key;
  std::ranges::fill(key.mutable_bytes(), std::byte{seed});
  return key;
}

Manifest SmallManifest() {
  Manifest manifest;
  manifest.name = "small";
  manifest.version = "1.0";
  manifest.labels = {"cat", "dog", "m\xc3\xbcsli"};
  manifest.decode = R"({"kind":"topk"})";
  graph::Graph& graph = manifest.graph;
  graph.stage = graph::Stage::kRows;
  const TensorIndex input = graph.AddTensor("input", Shape{2, kInputs});
  graph.inputs = {{.name = "input", .tensor = input, .shape = Shape{2, kInputs}, .perm = {0, 1}}};
  TensorIndex last = Append(graph, "dense", graph::Dense{.out_features = kChannels}, input,
                            {Panels(0, 0, 3), Panels(1, 3, 1)});
  last = Append(graph, "scale_a", graph::Affine{}, last, {Constants(2, 384)});
  last = Append(graph, "scale_b", graph::Affine{}, last, {Constants(3, 192), Constants(4, 192)});
  last = Append(graph, "scale_c", graph::Affine{}, last, {Constants(5, 64), Constants(6, 320)});
  graph.outputs = {
      {.name = "output", .tensor = last, .shape = Shape{2, kChannels}, .perm = {0, 1}}};
  return manifest;
}

std::vector<std::byte> SmallChunk(const Manifest& manifest, size_t index, uint64_t weight_seed,
                                  Weights weights) {
  for (const Node& node : manifest.graph.nodes) {
    for (const ChunkDescriptor& chunk : node.weights.chunks) {
      if (Position(chunk.index) != index) continue;
      std::vector<std::byte> plain(chunk.bytes);
      host::InsecureDeterministicEntropy noise(weight_seed * 1000 + index);
      CORACLE_CHECK(noise.Fill(plain).ok());
      if (weights == Weights::kCoded) {
        for (std::byte& byte : plain) byte &= std::byte{0x0f};
      }
      return plain;
    }
  }
  return {};
}

std::vector<std::byte> SealSmallModel(const SealOptions& options) {
  MemorySink sink;
  host::InsecureDeterministicEntropy entropy(options.entropy_seed);
  auto writer = SealedWriter::Start(sink, TestKey(options.key), entropy, options.backend).value();
  Manifest manifest = SmallManifest();
  for (size_t i = 0;; ++i) {
    std::vector<std::byte> chunk = SmallChunk(manifest, i, options.weight_seed, options.weights);
    if (chunk.empty()) break;
    if (options.weights == Weights::kCoded) Code(manifest, i, chunk);
    CORACLE_CHECK(writer->AppendChunk(chunk).ok());
  }
  CORACLE_CHECK(writer->Finish(std::move(manifest)).ok());
  return sink.bytes;
}

Status OpenAll(const host::Blob& blob, const crypto::Key256& key, crypto::AeadBackend backend) {
  TRY_ASSIGN(const std::unique_ptr<SealedModel> model, SealedModel::Open(blob, key, backend));
  return CheckAllChunks(*model, nullptr);
}

}  // namespace coracle::seal
