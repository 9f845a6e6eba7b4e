#include "passes/layout.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace coracle::passes {
namespace {

/// The axes of `layout` that are longer than 1, in order.
Layout LongAxes(const Shape& logical, const Layout& layout) {
  Layout axes;
  for (uint32_t axis : layout) {
    if (logical[axis] != 1) axes.push_back(axis);
  }
  return axes;
}

/// Consecutive axes of both shapes with the same product of dimensions, and no smaller such cut.
struct Group {
  Layout in;
  Layout out;
};

std::vector<Group> GroupAxes(const Shape& in, const Shape& out) {
  const Layout in_axes = LongAxes(in, IdentityLayout(in.rank()));
  const Layout out_axes = LongAxes(out, IdentityLayout(out.rank()));
  std::vector<Group> groups;
  size_t i = 0;
  size_t o = 0;
  while (i < in_axes.size()) {
    CORACLE_CHECK(o < out_axes.size());
    Group group{{in_axes[i]}, {out_axes[o]}};
    uint64_t in_product = in[in_axes[i++]];
    uint64_t out_product = out[out_axes[o++]];
    while (in_product != out_product) {
      if (in_product < out_product) {
        CORACLE_CHECK(i < in_axes.size());
        in_product *= in[in_axes[i]];
        group.in.push_back(in_axes[i++]);
      } else {
        CORACLE_CHECK(o < out_axes.size());
        out_product *= out[out_axes[o]];
        group.out.push_back(out_axes[o++]);
      }
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

const Group& GroupOf(const std::vector<Group>& groups, uint32_t in_axis) {
  const auto found = std::find_if(groups.begin(), groups.end(), [&](const Group& group) {
    return std::find(group.in.begin(), group.in.end(), in_axis) != group.in.end();
  });
  CORACLE_CHECK(found != groups.end());
  return *found;
}

bool IsSubsequence(const Layout& part, const Layout& whole) {
  size_t next = 0;
  for (uint32_t axis : whole) {
    if (next < part.size() && part[next] == axis) ++next;
  }
  return next == part.size();
}

/// A whole layout whose long axes are `long_axes` in that order: a familiar one where there is one.
Layout Completed(const Shape& shape, const Layout& long_axes) {
  if (shape.rank() == 4 && IsSubsequence(long_axes, ChannelsLast())) return ChannelsLast();
  const Layout identity = IdentityLayout(shape.rank());
  if (IsSubsequence(long_axes, identity)) return identity;
  Layout layout;
  for (uint32_t axis : identity) {
    if (shape[axis] == 1) layout.push_back(axis);
  }
  layout.insert(layout.end(), long_axes.begin(), long_axes.end());
  return layout;
}

}  // namespace

Layout IdentityLayout(uint32_t rank) {
  Layout layout(rank);
  std::iota(layout.begin(), layout.end(), 0U);
  return layout;
}

Layout ChannelsLast() { return {0, 2, 3, 1}; }

Layout WithLast(const Layout& layout, uint32_t axis) {
  Layout moved = layout;
  moved.erase(std::find(moved.begin(), moved.end(), axis));
  moved.push_back(axis);
  return moved;
}

uint32_t PositionOf(const Layout& layout, uint32_t axis) {
  const auto found = std::find(layout.begin(), layout.end(), axis);
  CORACLE_CHECK(found != layout.end());
  return static_cast<uint32_t>(found - layout.begin());
}

Shape PhysicalShape(const Shape& logical, const Layout& layout) {
  CORACLE_CHECK(layout.size() == logical.rank());
  if (layout.empty()) return Shape{1};
  Shape physical;
  for (uint32_t axis : layout) physical.Append(logical[axis]);
  return physical;
}

bool SameOrder(const Shape& logical, const Layout& a, const Layout& b) {
  return LongAxes(logical, a) == LongAxes(logical, b);
}

std::vector<uint32_t> TransposeBetween(const Layout& from, const Layout& to) {
  std::vector<uint32_t> perm;
  for (uint32_t axis : to) perm.push_back(PositionOf(from, axis));
  return perm;
}

ReshapeLayouts PlanReshape(const Shape& in, const Layout& current, const Shape& out) {
  const std::vector<Group> groups = GroupAxes(in, out);
  const Layout long_axes = LongAxes(in, current);
  Layout in_order;
  Layout out_order;
  // A group's axes become one run, in their logical order, where the last of them lies now: what is
  // innermost mostly stays so.
  Layout seen;
  for (uint32_t axis : long_axes) {
    seen.push_back(axis);
    const Group& group = GroupOf(groups, axis);
    const bool complete = std::all_of(group.in.begin(), group.in.end(), [&](uint32_t member) {
      return std::find(seen.begin(), seen.end(), member) != seen.end();
    });
    if (!complete) continue;
    in_order.insert(in_order.end(), group.in.begin(), group.in.end());
    out_order.insert(out_order.end(), group.out.begin(), group.out.end());
  }
  ReshapeLayouts layouts;
  const bool stays = in_order == long_axes;
  layouts.input = stays ? current : Completed(in, in_order);
  layouts.output = Completed(out, out_order);
  return layouts;
}

}  // namespace coracle::passes
