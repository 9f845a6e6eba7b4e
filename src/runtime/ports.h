// Ports: graph inputs and outputs between the user's element order and the rows that the plan has
// placed.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "graph/graph.h"
#include "plan/plan.h"

namespace coracle::runtime {

/// The user's elements by the rows that they lie in: element ((outer * rows + row) * inner + i) is
/// in row `row` for every i < inner.
struct PortRows {
  uint64_t outer = 1;
  uint64_t rows = 1;
  uint64_t inner = 1;
};
PortRows RowsOfPort(const graph::Port& port);

/// Calls body(first, count), which returns a Status, for pieces of at most `most` elements that are
/// all of the port's (of one input; those of a convoy follow one another): row after row where the
/// user's order allows (a port that lies outside then has each block of rows opened or sealed
/// once), else in the user's order.
template <typename Body>
Status ForEachRowPiece(const graph::Port& port, uint64_t most, Body body) {
  PortRows rows = RowsOfPort(port);
  if (rows.inner == 1 || rows.outer == 1) rows = {1, 1, port.shape.Elements()};
  for (uint64_t row = 0; row < rows.rows; ++row) {
    for (uint64_t outer = 0; outer < rows.outer; ++outer) {
      const uint64_t begin = (outer * rows.rows + row) * rows.inner;
      for (uint64_t done = 0; done < rows.inner; done += most) {
        TRY(body(begin + done, std::min(most, rows.inner - done)));
      }
    }
  }
  return {};
}

/// Walks a port's elements in the user's (row-major) order; strides are those of the placed tensor.
class PortMap {
 public:
  PortMap(const graph::Graph& graph, const graph::Port& port, const plan::Placement& placement);

  /// `base` is where float `origin` of the tensor (as the placement's strides count them, from its
  /// first element) lies. Copies elements [first, first + values.size()) there, or from there.
  /// Requires: in range.
  void Write(uint64_t first, std::span<const float> values, float* base,
             ptrdiff_t origin = 0) const;
  void Read(uint64_t first, std::span<float> values, const float* base, ptrdiff_t origin = 0) const;

 private:
  template <typename Move>
  void Walk(uint64_t first, uint64_t count, Move move) const;

  Shape shape_;                                ///< the user's
  std::array<ptrdiff_t, kMaxRank> strides_{};  ///< floats, per user axis
};

}  // namespace coracle::runtime
