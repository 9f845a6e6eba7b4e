// Layouts: in which order a logical tensor's axes lie in memory. A layout is a permutation:
// physical axis i is logical axis layout[i].
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tensor/shape.h"

namespace coracle::passes {

using Layout = std::vector<uint32_t>;

Layout IdentityLayout(uint32_t rank);
/// N,H,W,C of N,C,H,W.
Layout ChannelsLast();
/// `layout` with logical axis `axis` moved to the end.
Layout WithLast(const Layout& layout, uint32_t axis);
/// Physical position of logical axis `axis`.
uint32_t PositionOf(const Layout& layout, uint32_t axis);
/// The physical shape: shape[layout[i]]; a scalar has one axis of 1.
Shape PhysicalShape(const Shape& logical, const Layout& layout);
/// The same elements in the same order under both: they differ only in where axes of 1 stand.
bool SameOrder(const Shape& logical, const Layout& a, const Layout& b);
/// perm for a physical Transpose from one layout to another: out axis i is in axis perm[i].
std::vector<uint32_t> TransposeBetween(const Layout& from, const Layout& to);

/// How a logical Reshape looks in memory.
struct ReshapeLayouts {
  Layout input;   ///< the layout that the input must have (mostly the one it has)
  Layout output;  ///< the result's, over the same elements in the same order
};
/// Chooses layouts under which `in` to `out` moves no element, with `input` as near to `current` as
/// can be. Always succeeds (row-major order does). Requires: equal element counts.
ReshapeLayouts PlanReshape(const Shape& in, const Layout& current, const Shape& out);

}  // namespace coracle::passes
