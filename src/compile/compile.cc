#include "compile/compile.h"

#include <fmt/format.h>

#include <utility>

#include "import/darknet/darknet_import.h"
#include "import/onnx/onnx_import.h"
#include "kernels/packing.h"
#include "passes/choose_algorithms.h"
#include "passes/delay_expanding.h"
#include "passes/pipeline.h"

namespace coracle::compile {
namespace {

Result<import::ImportedModel> Import(const std::string& path, const CompileOptions& options) {
  if (path.ends_with(".cfg")) {
    if (options.weights_file.empty()) {
      return Error{
          Code::kInvalidArgument,
          fmt::format("{}: a Darknet model needs its weights: add --weights-file F", path)};
    }
    return import::ImportDarknet(path, options.weights_file,
                                 {.extra_output_layers = options.extra_output_layers});
  }
  if (path.ends_with(".onnx")) return import::ImportOnnx(path, {options.shapes});
  return Error{
      Code::kUnsupported,
      fmt::format("{}: not a model that can be read; give a .onnx file, or a .cfg file with "
                  "--weights-file F",
                  path)};
}

}  // namespace

void CutWeights(graph::Graph& graph) {
  uint32_t next = 0;
  for (graph::Node& node : graph.nodes) {
    node.weights = kernels::CutIntoChunks(graph, node, graph::ChunkIndex{next});
    next += static_cast<uint32_t>(node.weights.chunks.size());
  }
}

Result<CompiledModel> Compile(const std::string& path, const CompileOptions& options) {
  TRY_ASSIGN(import::ImportedModel imported, Import(path, options));
  TRY(passes::RunPasses(imported.graph));
  TRY_ASSIGN(graph::Graph lowered, passes::LowerToRows(imported.graph));
  passes::DelayExpandingNodes(lowered);
  if (options.sums == Sums::kFast) passes::ChooseAlgorithms(lowered);
  TRY_ASSIGN(std::vector<passes::QuantizedLayer> quantized,
             passes::ChooseWeightTypes(lowered, options.weights, options.error_max));
  CutWeights(lowered);
  return CompiledModel{std::move(lowered), std::move(imported.decode_json), std::move(quantized)};
}

Result<CodedWeights> Seal(const CompiledModel& model, const OwnerText& text, seal::Sink& sink,
                          const crypto::Key256& owner_key, host::Entropy& entropy,
                          crypto::AeadBackend backend, const CodingRequest& coding_request,
                          const Progress& progress) {
  uint64_t total = 0;
  for (const graph::Node& node : model.graph.nodes) total += node.weights.TotalBytes();
  TRY_ASSIGN(ChunkCoding coding, ChunkCoding::Start(coding_request));
  TRY_ASSIGN(const auto writer, seal::SealedWriter::Start(sink, owner_key, entropy, backend));
  seal::Manifest manifest;
  manifest.graph = model.graph;
  uint64_t done = 0;
  std::vector<std::byte> chunk_text;
  for (graph::Node& node : manifest.graph.nodes) {
    for (graph::ChunkDescriptor& chunk : node.weights.chunks) {
      chunk_text.resize(chunk.bytes);
      kernels::PackChunk(model.graph, node, chunk, chunk_text);
      coding.Apply(chunk, node.weight_type, chunk_text);
      TRY(writer->AppendChunk(chunk_text));
      done += chunk.bytes;
      if (progress) progress(done, total);
    }
    node.source = nullptr;
  }
  manifest.name = text.name;
  manifest.version = text.version;
  manifest.labels = text.labels;
  manifest.preprocess = text.preprocess;
  manifest.decode = text.decode;
  TRY(writer->Finish(std::move(manifest)));
  return coding.result();
}

}  // namespace coracle::compile
