#include "plan/homes.h"

#include <algorithm>

#include "base/checked.h"
#include "graph/tensor_bytes.h"

namespace coracle::plan {
namespace {

using graph::Graph;
using graph::TensorIndex;

/// A sealed block costs a call and a tag: not much less than this at a time.
constexpr uint64_t kBlockBytesMin = 8 * 1024;
/// Inputs and outputs smaller than this are not worth a window.
constexpr uint64_t kPortBytesMin = 16 * 1024;
/// Tensors smaller than this are not worth spilling.
constexpr uint64_t kSpillBytesMin = 64 * 1024;
constexpr size_t kSpillLevels = 7;

bool CanLieOutside(const Graph& graph, TensorIndex tensor) {
  const graph::RowShape rows = graph::RowsOf(graph.shape(tensor));
  return rows.images == 1 && rows.rows >= 4 && RowBytes(graph, tensor) < UINT32_MAX;
}

/// `granule`: rows that come together.
uint32_t BlockRowsOf(const Graph& graph, TensorIndex tensor, uint32_t granule) {
  const uint64_t rows = CeilDiv(kBlockBytesMin, RowBytes(graph, tensor));
  const uint64_t whole = granule % rows == 0 ? rows : RoundUpToMultiple(rows, granule);
  const uint64_t most = std::max(AllRows(graph, tensor) / 8, 1U);
  return static_cast<uint32_t>(whole <= most ? whole : std::min(rows, most));
}

}  // namespace

BlockRows ChooseOutside(const Graph& graph, const Uses& uses, uint64_t spill_bytes) {
  BlockRows block_rows(graph.tensors.size());
  const auto choose = [&](TensorIndex tensor) {
    const NodeNumber maker = uses.makers[Position(tensor)];
    const uint32_t granule = maker == kNoNode ? 1 : kernels::RowGranule(graph.nodes[maker]);
    block_rows[Position(tensor)] = BlockRowsOf(graph, tensor, granule);
  };
  std::vector<bool> reads_images(graph.tensors.size());
  for (const graph::Node& node : graph.nodes) {
    if (!HasImages(graph, node)) continue;
    reads_images[Position(node.output)] = true;
    for (const TensorIndex input : node.inputs) reads_images[Position(input)] = true;
  }
  std::vector<bool> is_input(graph.tensors.size());
  for (const graph::Port& port : graph.inputs) is_input[Position(port.tensor)] = true;
  std::vector<bool> is_port = is_input;
  for (const graph::Port& port : graph.outputs) {
    // An input that is an output too stays where it is.
    if (is_input[Position(port.tensor)]) reads_images[Position(port.tensor)] = true;
    is_port[Position(port.tensor)] = true;
  }
  for (size_t i = 0; i < graph.tensors.size(); ++i) {
    const auto tensor = static_cast<TensorIndex>(i);
    const uint64_t bytes = TensorBytes(graph, tensor);
    if (reads_images[i] || !CanLieOutside(graph, tensor)) continue;
    if (is_port[i] ? bytes >= kPortBytesMin : bytes >= spill_bytes && !uses.readers[i].empty()) {
      choose(tensor);
    }
  }
  return block_rows;
}

uint64_t CounterBytes(const graph::Convoy& convoy, TensorIndex tensor, uint32_t block_rows) {
  const uint64_t blocks = BlockCount(AllRows(convoy.one(), tensor), block_rows);
  return convoy.batch() * blocks * sizeof(uint64_t);
}

std::vector<uint64_t> SpillLevels(const Graph& graph) {
  uint64_t largest = 0;
  for (size_t i = 0; i < graph.tensors.size(); ++i) {
    largest = std::max(largest, TensorBytes(graph, static_cast<TensorIndex>(i)));
  }
  std::vector<uint64_t> levels;
  for (uint64_t bytes = largest / 2; levels.size() < kSpillLevels; bytes /= 2) {
    levels.push_back(std::max(bytes, kSpillBytesMin));
    if (bytes <= kSpillBytesMin) break;
  }
  return levels;
}

}  // namespace coracle::plan
