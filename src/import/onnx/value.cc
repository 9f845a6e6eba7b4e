#include "import/onnx/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace coracle::import {

Status CheckElementCount(const Shape& shape, std::string_view what) {
  uint64_t product = 1;
  for (const uint32_t dim : shape.dims()) {
    const uint64_t factor = dim == 0 ? 1 : dim;
    if (factor > kConstantElementsMax / product) {
      return Error{Code::kUnsupported, fmt::format("{}: {} has more than {} elements", what,
                                                   shape.ToString(), kConstantElementsMax)};
    }
    product *= factor;
  }
  return {};
}

Result<Shape> ToShape(std::span<const int64_t> dims, std::string_view what) {
  if (dims.size() > kMaxRank) {
    return Error{Code::kUnsupported,
                 fmt::format("{}: rank {}, at most {}", what, dims.size(), kMaxRank)};
  }
  Shape shape;
  for (const int64_t dim : dims) {
    if (dim < 0) {
      return Error{Code::kMalformed, fmt::format("{}: negative dimension {}", what, dim)};
    }
    if (dim > std::numeric_limits<int32_t>::max()) {
      return Error{Code::kUnsupported, fmt::format("{}: dimension {}, at most {}", what, dim,
                                                   std::numeric_limits<int32_t>::max())};
    }
    shape.Append(static_cast<uint32_t>(dim));
  }
  TRY(CheckElementCount(shape, what));
  return shape;
}

Result<uint32_t> ResolveAxis(int64_t axis, uint32_t rank, std::string_view what) {
  const int64_t resolved = axis < 0 ? axis + rank : axis;
  if (axis < -int64_t{rank} || resolved >= rank) {
    return Error{Code::kMalformed,
                 fmt::format("{}: axis {} of a tensor of rank {}", what, axis, rank)};
  }
  return static_cast<uint32_t>(resolved);
}

Result<std::vector<uint32_t>> ResolveAxes(std::span<const int64_t> axes, uint32_t rank,
                                          std::string_view what) {
  std::vector<uint32_t> resolved;
  if (axes.size() > kMaxRank) {
    return Error{Code::kMalformed, fmt::format("{}: {} axes", what, axes.size())};
  }
  for (const int64_t axis : axes) {
    TRY_ASSIGN(const uint32_t one, ResolveAxis(axis, rank, what));
    resolved.push_back(one);
  }
  std::sort(resolved.begin(), resolved.end());
  if (std::adjacent_find(resolved.begin(), resolved.end()) != resolved.end()) {
    return Error{Code::kMalformed, fmt::format("{}: an axis occurs twice", what)};
  }
  return resolved;
}

}  // namespace coracle::import
