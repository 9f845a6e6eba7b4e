// A small network of many operators, packed and sealed into memory, for tests of the runtime.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "graph/graph.h"
#include "host/blob.h"
#include "seal/reader.h"

namespace coracle::runtime {

/// 1x3xSxS -> conv 3x3 -> depthwise -> 1x1 with residual -> pool -> conv whose K is split over
/// chunks -> global average -> dense -> softmax, with seeded weights. Stage::kRows, weights cut,
/// sources attached.
graph::Graph MakeTestGraph(uint32_t size, uint64_t seed);

/// The graph's weights packed and sealed under a key of all zeros; small seeded values for nodes
/// without a source.
struct SealedGraph {
  std::vector<std::byte> file;
  std::unique_ptr<host::Blob> blob;
  std::unique_ptr<seal::SealedModel> model;
};
/// Whether chunks that become smaller are coded.
enum class Coding : uint8_t { kNone, kCoded };
SealedGraph SealInMemory(const graph::Graph& graph, host::BlobAccess access,
                         Coding coding = Coding::kNone);

/// The same element order for every session: values in [-1, 1) from a fixed seed.
std::vector<float> TestInput(uint64_t elements);

}  // namespace coracle::runtime
