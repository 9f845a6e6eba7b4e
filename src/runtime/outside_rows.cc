#include "runtime/outside_rows.h"

#include <algorithm>

#include "base/check.h"
#include "graph/tensor_bytes.h"

namespace coracle::runtime {
namespace {

StoredTensor StoredOf(const graph::Graph& graph, const plan::Plan& plan,
                      graph::TensorIndex tensor) {
  const graph::RowShape shape = graph::RowsOf(graph.shape(tensor));
  CORACLE_CHECK(shape.images == 1);
  return {tensor, shape.rows, graph::RowBytes(graph, tensor),
          plan.tensors.at(Position(tensor)).block_rows, plan.batch};
}

}  // namespace

uint64_t OutsideRows::BlockBytes(uint32_t block) const {
  return std::min(block_rows, rows - block % blocks_per_input * block_rows) * row_bytes;
}

std::vector<StoredTensor> StoredTensorsOf(const graph::Graph& graph, const plan::Plan& plan) {
  std::vector<StoredTensor> stored;
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    if (plan.tensors[i].home != plan::Home::kOutside) continue;
    stored.push_back(StoredOf(graph, plan, static_cast<graph::TensorIndex>(i)));
  }
  return stored;
}

OutsideRows BindOutside(const graph::Graph& graph, const plan::Plan& plan,
                        graph::TensorIndex tensor, std::byte* pool) {
  const plan::TensorPlan& home = plan.tensors.at(Position(tensor));
  CORACLE_CHECK(home.home == plan::Home::kOutside);
  const auto before = std::count_if(
      plan.tensors.begin(), plan.tensors.begin() + static_cast<ptrdiff_t>(Position(tensor)),
      [](const plan::TensorPlan& other) { return other.home == plan::Home::kOutside; });
  const StoredTensor stored = StoredOf(graph, plan, tensor);
  CORACLE_CHECK(home.counters.bytes >= stored.block_count() * sizeof(SealCounter));
  return {static_cast<StoreSlot>(before),
          static_cast<uint32_t>(stored.rows),
          home.block_rows,
          stored.row_bytes,
          {reinterpret_cast<SealCounter*>(pool + home.counters.offset), stored.block_count()},
          static_cast<uint32_t>(stored.blocks_per_input())};
}

}  // namespace coracle::runtime
