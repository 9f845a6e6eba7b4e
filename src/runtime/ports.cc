#include "runtime/ports.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace coracle::runtime {
namespace {

/// Floats from one index to the next along each physical axis (see graph::RowsOf for the
/// decomposition).
std::array<ptrdiff_t, kMaxRank> PhysicalStrides(const Shape& shape,
                                                const plan::Placement& placement) {
  std::array<ptrdiff_t, kMaxRank> strides{};
  const uint32_t rank = shape.rank();
  if (rank == 0) return strides;
  const ptrdiff_t row = static_cast<ptrdiff_t>(placement.row_stride_bytes / sizeof(float));
  ptrdiff_t pixel = static_cast<ptrdiff_t>(placement.pixel_stride_bytes / sizeof(float));
  strides[rank - 1] = 1;
  if (rank == 2) strides[0] = row;
  if (rank < 3) return strides;
  for (uint32_t axis = rank - 2; axis >= 2; --axis) {
    strides[axis] = pixel;
    pixel *= static_cast<ptrdiff_t>(shape[axis]);
  }
  strides[1] = row;
  strides[0] = row * static_cast<ptrdiff_t>(shape[1]);
  return strides;
}

}  // namespace

PortRows RowsOfPort(const graph::Port& port) {
  PortRows rows;
  const uint32_t rank = port.shape.rank();
  if (rank < 2) return {1, 1, port.shape.Elements()};
  const uint32_t row_axis = port.perm[rank == 2 ? 0 : 1];
  for (uint32_t axis = 0; axis < row_axis; ++axis) rows.outer *= port.shape[axis];
  rows.rows = port.shape[row_axis];
  for (uint32_t axis = row_axis + 1; axis < rank; ++axis) rows.inner *= port.shape[axis];
  return rows;
}

PortMap::PortMap(const graph::Graph& graph, const graph::Port& port,
                 const plan::Placement& placement)
    : shape_(port.shape) {
  const std::array<ptrdiff_t, kMaxRank> physical =
      PhysicalStrides(graph.shape(port.tensor), placement);
  for (uint32_t axis = 0; axis < port.perm.size(); ++axis)
    strides_[port.perm[axis]] = physical[axis];
}

template <typename Move>
void PortMap::Walk(uint64_t first, uint64_t count, Move move) const {
  CORACLE_CHECK(first <= shape_.Elements() && count <= shape_.Elements() - first);
  const uint32_t rank = shape_.rank();
  const uint64_t inner = rank == 0 ? 1 : shape_[rank - 1];
  const ptrdiff_t inner_stride = rank == 0 ? 1 : strides_[rank - 1];
  uint64_t done = 0;
  while (done < count) {
    const uint64_t index = first + done;
    const uint64_t column = index % inner;
    ptrdiff_t offset = static_cast<ptrdiff_t>(column) * inner_stride;
    uint64_t rest = index / inner;
    for (uint32_t axis = rank > 0 ? rank - 1 : 0; axis-- > 0;) {
      offset += static_cast<ptrdiff_t>(rest % shape_[axis]) * strides_[axis];
      rest /= shape_[axis];
    }
    const uint64_t run = std::min(inner - column, count - done);
    for (uint64_t i = 0; i < run; ++i) {
      move(done + i, offset + static_cast<ptrdiff_t>(i) * inner_stride);
    }
    done += run;
  }
}

void PortMap::Write(uint64_t first, std::span<const float> values, float* base,
                    ptrdiff_t origin) const {
  Walk(first, values.size(), [=](uint64_t i, ptrdiff_t at) { base[at - origin] = values[i]; });
}

void PortMap::Read(uint64_t first, std::span<float> values, const float* base,
                   ptrdiff_t origin) const {
  Walk(first, values.size(), [=](uint64_t i, ptrdiff_t at) { values[i] = base[at - origin]; });
}

}  // namespace coracle::runtime
