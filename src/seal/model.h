// What a sealed model's manifest says, decoded. Format: docs/formats/sealed-model.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crypto/aead.h"
#include "graph/graph.h"

namespace coracle::seal {

/// One entry of the chunk table, by graph::ChunkIndex.
struct ChunkRecord {
  uint64_t offset = 0;       ///< in the file
  uint32_t bytes = 0;        ///< sealed
  uint32_t plain_bytes = 0;  ///< as kernels read it: more than `bytes` if coded
  crypto::Tag tag{};
};

/// How outputs become an answer; canonical JSON written by compile/ (see
/// docs/formats/sealed-model.md).
struct Manifest {
  std::string name;     ///< the owner's free text
  std::string version;  ///< the owner's free text
  graph::Graph graph;   ///< Stage::kRows, packed
  std::vector<std::string> labels;
  std::string preprocess;  ///< JSON; empty: none
  std::string decode;      ///< JSON; empty: none
  std::vector<ChunkRecord> chunks;
};

}  // namespace coracle::seal
