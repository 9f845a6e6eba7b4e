#include "runtime/placed_port.h"

#include <algorithm>

#include "base/check.h"

namespace coracle::runtime {
namespace {

/// Where the tensor's rows lie, or how they follow one another in its blocks.
plan::Placement LayoutOf(const graph::Graph& graph, const plan::Plan& plan,
                         graph::TensorIndex tensor) {
  const plan::TensorPlan& home = plan.tensors.at(Position(tensor));
  if (home.home == plan::Home::kPool) return home.place;
  CORACLE_CHECK(home.home == plan::Home::kOutside);
  const graph::RowShape shape = graph::RowsOf(graph.shape(tensor));
  return {0, shape.RowElements() * sizeof(float), shape.channels * sizeof(float)};
}

}  // namespace

PlacedPort::PlacedPort(const graph::Graph& graph, const plan::Plan& plan, const graph::Port& port,
                       std::byte* pool)
    : map_(graph, port, LayoutOf(graph, plan, port.tensor)), order_(RowsOfPort(port)) {
  const plan::TensorPlan& home = plan.tensors[Position(port.tensor)];
  if (home.home == plan::Home::kPool) {
    base_ = reinterpret_cast<float*>(pool + home.place.offset);
  } else {
    outside_ = BindOutside(graph, plan, port.tensor, pool);
  }
}

void PlacedPort::ForgetRows() {
  if (outside_) std::ranges::fill(outside_->counters, kNeverSealed);
}

/// Calls body(block, first, count) for the runs of elements that lie in one block, block by block.
template <typename Body>
Status PlacedPort::ForEachSegment(uint64_t first, uint64_t count, Body body) const {
  if (count == 0) return {};
  CORACLE_CHECK(first + count <= order_.outer * order_.rows * order_.inner);
  const uint64_t last = first + count - 1;
  const uint64_t outer_begin = first / (order_.rows * order_.inner);
  const uint64_t outer_last = last / (order_.rows * order_.inner);
  const bool one_outer = outer_begin == outer_last;
  const uint64_t row_begin = one_outer ? first / order_.inner % order_.rows : 0;
  const uint64_t row_last = one_outer ? last / order_.inner % order_.rows : order_.rows - 1;
  const uint64_t block_rows = outside_->block_rows;
  for (uint64_t block = row_begin / block_rows; block <= row_last / block_rows; ++block) {
    const uint64_t rows_end = std::min((block + 1) * block_rows, order_.rows);
    for (uint64_t outer = outer_begin; outer <= outer_last; ++outer) {
      const uint64_t rows_before = outer * order_.rows;
      const uint64_t begin = std::max(first, (rows_before + block * block_rows) * order_.inner);
      const uint64_t end = std::min(last + 1, (rows_before + rows_end) * order_.inner);
      if (begin < end) TRY(body(static_cast<uint32_t>(block), begin, end - begin));
    }
  }
  return {};
}

Status PlacedPort::Write(uint64_t first, std::span<const float> values, BlockStage& stage) const {
  if (!outside_) {
    map_.Write(first, values, base_);
    return {};
  }
  return ForEachSegment(
      first, values.size(), [&](uint32_t block, uint64_t at, uint64_t count) -> Status {
        TRY_ASSIGN(const std::span<float> rows, stage.Change(*outside_, block));
        const uint64_t origin = uint64_t{block} * outside_->block_rows * outside_->row_bytes;
        map_.Write(at, values.subspan(at - first, count), rows.data(),
                   static_cast<ptrdiff_t>(origin / sizeof(float)));
        return {};
      });
}

Status PlacedPort::Read(uint64_t first, std::span<float> values, BlockStage& stage) const {
  if (!outside_) {
    map_.Read(first, values, base_);
    return {};
  }
  return ForEachSegment(
      first, values.size(), [&](uint32_t block, uint64_t at, uint64_t count) -> Status {
        TRY_ASSIGN(const std::span<const float> rows, stage.Load(*outside_, block));
        const uint64_t origin = uint64_t{block} * outside_->block_rows * outside_->row_bytes;
        map_.Read(at, values.subspan(at - first, count), rows.data(),
                  static_cast<ptrdiff_t>(origin / sizeof(float)));
        return {};
      });
}

}  // namespace coracle::runtime
