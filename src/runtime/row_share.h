// How workers divide the rows of an action.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/checked.h"
#include "kernels/rows.h"

namespace coracle::runtime {

/// Worker `worker`'s share of `rows`, in the order of the workers; may be empty. Shares end between
/// two multiples of `granule` (kernels::RowGranule), and differ by one of these at most.
inline kernels::RowRange ShareOf(kernels::RowRange rows, uint32_t granule, uint32_t worker,
                                 uint32_t workers) {
  const uint64_t first = rows.begin / granule;
  const uint64_t count = CeilDiv(rows.end, granule) - first;
  const auto cut = [&](uint64_t number) {
    const uint64_t row = (first + count * number / workers) * granule;
    return static_cast<uint32_t>(std::clamp<uint64_t>(row, rows.begin, rows.end));
  };
  return {cut(worker), cut(uint64_t{worker} + 1)};
}

}  // namespace coracle::runtime
