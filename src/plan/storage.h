// Storages: which tensors share memory, decided before anything has an offset.
//
// Without copies: a Reshape is its input, a Concat's producers write into slices of its result, a
// Slice is a window of its source, and an elementwise result replaces its dying input. All tensors
// that share memory this way form one storage, which lives as long as any of them.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/graph.h"
#include "plan/liveness.h"

namespace coracle::plan {

enum class StorageIndex : uint32_t {};

/// How Concat and Slice are treated. A shared storage saves copies, and lives longer.
enum class Sharing : uint8_t {
  kAll = 0,        ///< wherever possible
  kSelective = 1,  ///< where it does not raise the peak
  kNone = 2,       ///< copied; only Reshape and in-place results share
};

/// Where a tensor lies in its storage. Its rows follow one another without gaps between pixels.
struct View {
  StorageIndex storage{};
  uint64_t offset = 0;  ///< bytes, of its first element
  uint64_t pitch = 0;   ///< bytes from pixel to pixel
};

/// A piece of the pool with one place and one live range.
struct Storage {
  uint64_t bytes = 0;       ///< multiple of kPoolAlignment
  uint64_t used_bytes = 0;  ///< of them, up to the last element's end
  StepNumber first = 0;
  StepNumber last = 0;                      ///< both included; past the last step for graph outputs
  std::vector<graph::TensorIndex> members;  ///< empty: merged into another one
};

struct StorageMap {
  std::vector<View> views;        ///< by TensorIndex
  std::vector<Storage> storages;  ///< by StorageIndex
  std::vector<bool> elided;       ///< by NodeIndex: the node needs no work
  uint32_t declined_count = 0;    ///< kSelective: shares that would have raised the peak
};

/// Deterministic. `least_scratch_bytes`: what each step needs beside its tensors, at least.
/// `outside`, by TensorIndex (empty: none): tensors that share with nobody and get no storage.
StorageMap ShareStorages(const graph::Graph& graph, const std::vector<LiveRange>& ranges,
                         Sharing sharing, const std::vector<uint64_t>& least_scratch_bytes,
                         const std::vector<bool>& outside = {});

}  // namespace coracle::plan
