// Which chunks are entropy-coded before they are sealed (docs/adr/0012-coded-chunks.md).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "plan/plan.h"
#include "seal/chunk_coder.h"

namespace coracle::compile {

enum class Compression : uint8_t {
  kNone = 0,
  kAuto = 1,  ///< each chunk that is sooner open for it, read from the stated storage
  kMax = 2,   ///< each chunk that becomes smaller
};

struct CodingRequest {
  Compression compression = Compression::kNone;
  /// How fast sealed files are read where the model will run; 0: as fast as local memory, where
  /// kAuto codes nothing: there, reading plain weights costs a small part of decoding them.
  double storage_gbps = 0;
  plan::MachineRates rates;  ///< kAuto: of the machine that will run the model
};

/// What became of a model's weights.
struct CodedWeights {
  uint64_t chunks = 0;
  uint64_t coded_chunks = 0;
  uint64_t plain_bytes = 0;
  uint64_t sealed_bytes = 0;
};

/// Threads: one at a time.
class ChunkCoding {
 public:
  /// Errors: kUnavailable if there is no memory.
  static Result<ChunkCoding> Start(const CodingRequest& request);

  /// Codes `text`, the chunk's plain bytes, if that is what was asked for; the descriptor then says
  /// so.
  void Apply(graph::ChunkDescriptor& chunk, graph::WeightType type, std::vector<std::byte>& text);

  const CodedWeights& result() const { return result_; }

 private:
  ChunkCoding(const CodingRequest& request, std::unique_ptr<seal::ChunkCoder> coder)
      : request_(request), coder_(std::move(coder)) {}

  bool Wins(const graph::ChunkDescriptor& coded, graph::WeightType type) const;

  CodingRequest request_;
  std::unique_ptr<seal::ChunkCoder> coder_;  ///< null: nothing is coded
  CodedWeights result_;
};

}  // namespace coracle::compile
