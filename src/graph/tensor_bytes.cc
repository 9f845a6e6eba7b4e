#include "graph/tensor_bytes.h"

namespace coracle::graph {

uint32_t ElementBytes(const Graph& graph, TensorIndex tensor) {
  return DTypeBytes(graph.tensor(tensor).dtype);
}

uint64_t PixelBytes(const Graph& graph, TensorIndex tensor) {
  return uint64_t{RowsOf(graph.shape(tensor)).channels} * ElementBytes(graph, tensor);
}

uint64_t RowBytes(const Graph& graph, TensorIndex tensor) {
  return RowsOf(graph.shape(tensor)).RowElements() * ElementBytes(graph, tensor);
}

uint64_t TensorBytes(const Graph& graph, TensorIndex tensor) {
  return graph.shape(tensor).Elements() * ElementBytes(graph, tensor);
}

}  // namespace coracle::graph
