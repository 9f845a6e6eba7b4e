// What the tensors of a kRows graph measure in bytes, by their element types, no gaps counted.
#pragma once

#include <cstdint>

#include "graph/graph.h"

namespace coracle::graph {

uint32_t ElementBytes(const Graph& graph, TensorIndex tensor);
/// One pixel: its channels.
uint64_t PixelBytes(const Graph& graph, TensorIndex tensor);
/// One row (RowsOf).
uint64_t RowBytes(const Graph& graph, TensorIndex tensor);
/// The whole tensor.
uint64_t TensorBytes(const Graph& graph, TensorIndex tensor);

}  // namespace coracle::graph
