// Chunks: how a node's weights are cut into the pieces that are sealed and opened one by one.
//
// The layout inside of a chunk is kernels/packing.h's business; the bytes' place in the file is
// seal/'s. This descriptor is what both, and the planner, agree on.
#pragma once

#include <cstdint>
#include <vector>

namespace coracle::graph {

enum class ChunkIndex : uint32_t {};

/// Every chunk is a multiple of this many bytes (zero-filled inside of the sealed text).
inline constexpr uint32_t kChunkAlignment = 64;
/// Largest chunk. A node's constants that must be whole at once take several.
inline constexpr uint32_t kMaxChunkBytes = 256 * 1024;

enum class ChunkKind : uint8_t {
  kPanels = 0,     ///< Conv, ConvTranspose, Dense: panels of output channels x a range of K.
  kDepthwise = 1,  ///< Depthwise Conv: a range of 16-channel blocks.
  kConstant = 2,   ///< Affine, LayerNorm, Recurrence, constant operands: the next bytes of one
                   ///< constant block.
};

/// One sealed piece of a node's weights.
struct ChunkDescriptor {
  ChunkIndex index{};  ///< place in the sealed file's chunk table
  ChunkKind kind = ChunkKind::kPanels;
  uint32_t bytes = 0;  ///< plain bytes, as kernels read them; multiple of kChunkAlignment
  /// 0: sealed as it is. Else entropy-coded (seal/), and this long in the file: less than `bytes`;
  /// multiple of kChunkAlignment.
  uint32_t coded_bytes = 0;
  uint32_t panel_begin =
      0;  ///< kPanels: first panel, over all parts; kDepthwise: first block of 16
  uint32_t panel_count = 0;
  uint32_t k_begin = 0;  ///< kPanels: first row of K of every panel in the chunk
  uint32_t k_count = 0;

  /// Bytes of the text that is sealed.
  uint32_t SealedBytes() const { return coded_bytes == 0 ? bytes : coded_bytes; }

  bool coded() const { return coded_bytes != 0; }

  bool operator==(const ChunkDescriptor&) const = default;
};

/// What the decoder of coded chunks (seal/chunk_decoder.h) keeps while it decodes one.
inline constexpr uint32_t kDecoderContextBytes = 96 * 1024;

/// All chunks of one node, in the order in which they are opened: panels ascending, K ascending
/// within a panel; a chunk that holds several panels holds their whole K.
struct WeightLayout {
  std::vector<ChunkDescriptor> chunks;

  uint64_t TotalBytes() const {
    uint64_t sum = 0;
    for (const ChunkDescriptor& chunk : chunks) sum += chunk.bytes;
    return sum;
  }
  uint32_t LargestChunkBytes() const {
    uint32_t largest = 0;
    for (const ChunkDescriptor& chunk : chunks)
      largest = chunk.bytes > largest ? chunk.bytes : largest;
    return largest;
  }
  /// Bytes of it in the file.
  uint64_t SealedBytes() const {
    uint64_t sum = 0;
    for (const ChunkDescriptor& chunk : chunks) sum += chunk.SealedBytes();
    return sum;
  }
  /// What a worker needs, beside the place of the open chunk, to open any of these: the decoder's
  /// context, then room for a coded chunk or its byte planes. 0: none is coded.
  uint32_t DecodingBytes() const {
    uint32_t largest = 0;
    for (const ChunkDescriptor& chunk : chunks) {
      if (chunk.coded() && chunk.bytes > largest) largest = chunk.bytes;
    }
    return largest == 0 ? 0 : kDecoderContextBytes + largest;
  }
  /// True if some panel's K is spread over several chunks (partial sums then live in the output).
  bool SplitsK() const {
    for (const ChunkDescriptor& chunk : chunks) {
      if (chunk.kind == ChunkKind::kPanels && chunk.k_begin > 0) return true;
    }
    return false;
  }
  bool operator==(const WeightLayout&) const = default;
};

}  // namespace coracle::graph
