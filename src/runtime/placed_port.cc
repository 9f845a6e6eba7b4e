#include "runtime/placed_port.h"

#include <algorithm>

#include "base/check.h"
#include "graph/tensor_bytes.h"

namespace coracle::runtime {
namespace {

/// Where the tensor's rows lie, or how they follow one another in its blocks.
plan::Placement LayoutOf(const graph::Graph& graph, const plan::Plan& plan,
                         graph::TensorIndex tensor) {
  const plan::TensorPlan& home = plan.tensors.at(Position(tensor));
  if (home.home == plan::Home::kPool) return home.place;
  CORACLE_CHECK(home.home == plan::Home::kOutside);
  return {0, graph::RowBytes(graph, tensor), graph::PixelBytes(graph, tensor)};
}

}  // namespace

PlacedPort::PlacedPort(const graph::Graph& graph, const plan::Plan& plan, const graph::Port& port,
                       std::byte* pool)
    : map_(graph, port, LayoutOf(graph, plan, port.tensor)),
      order_(RowsOfPort(port)),
      batch_(plan.batch) {
  const plan::TensorPlan& home = plan.tensors[Position(port.tensor)];
  if (home.home == plan::Home::kPool) {
    base_ = reinterpret_cast<float*>(pool + home.place.offset);
    input_floats_ = graph::RowsOf(graph.shape(port.tensor)).AllRows() *
                    home.place.row_stride_bytes / sizeof(float);
  } else {
    outside_ = BindOutside(graph, plan, port.tensor, pool);
  }
}

void PlacedPort::ForgetRows() {
  if (outside_) std::ranges::fill(outside_->counters, kNeverSealed);
}

/// Calls body(input, first, count, done) for each input's elements; `done` came before them.
template <typename Body>
Status PlacedPort::ForEachInput(uint64_t first, uint64_t count, Body body) const {
  const uint64_t elements = order_.outer * order_.rows * order_.inner;
  CORACLE_CHECK(first <= batch_ * elements && count <= batch_ * elements - first);
  for (uint64_t done = 0; done < count;) {
    const uint64_t at = (first + done) % elements;
    const uint64_t here = std::min(count - done, elements - at);
    TRY(body(static_cast<uint32_t>((first + done) / elements), at, here, done));
    done += here;
  }
  return {};
}

/// Calls body(segment) for the runs of an input's elements that lie in one block, block by block.
template <typename Body>
Status PlacedPort::ForEachSegment(uint32_t input, uint64_t first, uint64_t count, Body body) const {
  const uint64_t last = first + count - 1;
  const uint64_t outer_begin = first / (order_.rows * order_.inner);
  const uint64_t outer_last = last / (order_.rows * order_.inner);
  const bool one_outer = outer_begin == outer_last;
  const uint64_t row_begin = one_outer ? first / order_.inner % order_.rows : 0;
  const uint64_t row_last = one_outer ? last / order_.inner % order_.rows : order_.rows - 1;
  const uint64_t block_rows = outside_->block_rows;
  for (uint64_t block = row_begin / block_rows; block <= row_last / block_rows; ++block) {
    const uint64_t rows_end = std::min((block + 1) * block_rows, order_.rows);
    const uint64_t origin = block * block_rows * outside_->row_bytes / sizeof(float);
    for (uint64_t outer = outer_begin; outer <= outer_last; ++outer) {
      const uint64_t rows_before = outer * order_.rows;
      const uint64_t begin = std::max(first, (rows_before + block * block_rows) * order_.inner);
      const uint64_t end = std::min(last + 1, (rows_before + rows_end) * order_.inner);
      if (begin >= end) continue;
      TRY(body(Segment{static_cast<uint32_t>(input * outside_->blocks_per_input + block), begin,
                       end - begin, static_cast<ptrdiff_t>(origin)}));
    }
  }
  return {};
}

Status PlacedPort::Write(uint64_t first, std::span<const float> values, BlockStage& stage) const {
  return ForEachInput(
      first, values.size(), [&](uint32_t input, uint64_t at, uint64_t count, uint64_t done) {
        const std::span<const float> given = values.subspan(done, count);
        if (!outside_) {
          map_.Write(at, given, base_ + input * input_floats_);
          return Status();
        }
        return ForEachSegment(input, at, count, [&](const Segment& segment) -> Status {
          TRY_ASSIGN(const std::span<float> rows, stage.Change(*outside_, segment.block));
          map_.Write(segment.first, given.subspan(segment.first - at, segment.count), rows.data(),
                     segment.origin);
          return {};
        });
      });
}

Status PlacedPort::Read(uint64_t first, std::span<float> values, BlockStage& stage) const {
  return ForEachInput(
      first, values.size(), [&](uint32_t input, uint64_t at, uint64_t count, uint64_t done) {
        const std::span<float> wanted = values.subspan(done, count);
        if (!outside_) {
          map_.Read(at, wanted, base_ + input * input_floats_);
          return Status();
        }
        return ForEachSegment(input, at, count, [&](const Segment& segment) -> Status {
          TRY_ASSIGN(const std::span<const float> rows, stage.Load(*outside_, segment.block));
          map_.Read(segment.first, wanted.subspan(segment.first - at, segment.count), rows.data(),
                    segment.origin);
          return {};
        });
      });
}

}  // namespace coracle::runtime
