// Compiling: a model file becomes a packed graph, and a packed graph becomes a sealed file.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "compile/chunk_coding.h"
#include "crypto/aead.h"
#include "graph/graph.h"
#include "host/outside.h"
#include "passes/choose_weight_types.h"
#include "seal/writer.h"

namespace coracle::compile {

/// What may be done to sums for speed.
enum class Sums : uint8_t {
  kFast = 0,   ///< convolutions by Winograd's algorithms where these are faster
  kExact = 1,  ///< every sum as the operator defines it
};

struct CompileOptions {
  std::string weights_file;                            ///< Darknet: the .weights beside the .cfg
  std::map<std::string, std::vector<int64_t>> shapes;  ///< ONNX: dynamic inputs, by name
  std::vector<uint32_t> extra_output_layers;           ///< Darknet: layers to give as outputs too
  Sums sums = Sums::kFast;
  passes::WeightChoice weights = passes::WeightChoice::kAuto;
  /// WeightChoice::kAuto: the most that passes::EstimatedError() may be.
  double error_max = 0.04;
};

/// A model ready to be sealed: optimised, channels last, weights cut into chunks but not yet
/// packed.
struct CompiledModel {
  graph::Graph graph;
  std::string decode;  ///< geometry of Darknet's detection heads as JSON; else empty
  std::vector<passes::QuantizedLayer> quantized;  ///< layers whose weights are not float32
};

/// Imports MODEL (.onnx, or .cfg with options.weights_file), optimises and lowers it.
/// Errors: what the importers and passes refuse, in one line each, and weights that cannot be
/// quantised.
Result<CompiledModel> Compile(const std::string& path, const CompileOptions& options);

/// Gives every node its chunks, numbered in the order of the nodes.
void CutWeights(graph::Graph& graph);

/// What the owner adds to the graph.
struct OwnerText {
  std::string name;
  std::string version;
  std::vector<std::string> labels;
  std::string preprocess;
  std::string decode;
};

/// Called after each chunk with plain bytes sealed so far and in all.
using Progress = std::function<void(uint64_t done, uint64_t total)>;

/// Packs, codes and seals chunk by chunk: one chunk's memory beside the model's own. Errors: the
/// sink's; kUnavailable.
Result<CodedWeights> Seal(const CompiledModel& model, const OwnerText& text, seal::Sink& sink,
                          const crypto::Key256& owner_key, host::Entropy& entropy,
                          crypto::AeadBackend backend, const CodingRequest& coding_request,
                          const Progress& progress);

}  // namespace coracle::compile
