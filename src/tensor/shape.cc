#include "tensor/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/checked.h"

namespace coracle {

Shape::Shape(std::span<const uint32_t> dims) : rank_(static_cast<uint32_t>(dims.size())) {
  CORACLE_CHECK(dims.size() <= kMaxRank);
  std::copy(dims.begin(), dims.end(), dims_.begin());
}

std::optional<uint64_t> Shape::CheckedElements() const {
  uint64_t product = 1;
  for (const uint32_t dim : dims()) {
    const std::optional<uint64_t> next = CheckedMul(product, dim);
    if (!next) return std::nullopt;
    product = *next;
  }
  return product;
}

uint64_t Shape::Elements() const {
  const std::optional<uint64_t> elements = CheckedElements();
  CORACLE_CHECK(elements.has_value());
  return *elements;
}

std::string Shape::ToString() const {
  if (rank_ == 0) return "scalar";
  return fmt::format("{}", fmt::join(dims(), "x"));
}

bool Shape::operator==(const Shape& other) const {
  return std::ranges::equal(dims(), other.dims());
}

}  // namespace coracle
