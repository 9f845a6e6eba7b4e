#include "compile/chunk_coding.h"

#include <optional>
#include <utility>

#include "plan/node_cost.h"

namespace coracle::compile {

Result<ChunkCoding> ChunkCoding::Start(const CodingRequest& request) {
  const bool local = request.compression == Compression::kAuto && request.storage_gbps == 0;
  if (request.compression == Compression::kNone || local) return ChunkCoding(request, nullptr);
  TRY_ASSIGN(std::unique_ptr<seal::ChunkCoder> coder, seal::ChunkCoder::Create());
  return ChunkCoding(request, std::move(coder));
}

void ChunkCoding::Apply(graph::ChunkDescriptor& chunk, graph::WeightType type,
                        std::vector<std::byte>& text) {
  ++result_.chunks;
  result_.plain_bytes += chunk.bytes;
  std::optional<std::vector<std::byte>> shorter;
  if (coder_ != nullptr) shorter = coder_->Code(text);
  if (shorter) {
    graph::ChunkDescriptor coded = chunk;
    coded.coded_bytes = static_cast<uint32_t>(shorter->size());
    if (Wins(coded, type)) {
      ++result_.coded_chunks;
      text = *std::move(shorter);
      chunk = coded;
    }
  }
  result_.sealed_bytes += text.size();
}

/// Reading, decrypting and decoding one after the other, as one worker does them.
bool ChunkCoding::Wins(const graph::ChunkDescriptor& coded, graph::WeightType type) const {
  if (request_.compression == Compression::kMax) return true;
  const double byte_ns = 1 / request_.storage_gbps + 1 / request_.rates.aead_gbps;
  const double saved_ns = (coded.bytes - coded.coded_bytes) * byte_ns;
  return saved_ns > plan::DecodeNs(coded, type, request_.rates);
}

}  // namespace coracle::compile
