#include "vision/difference.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace coracle::vision {
namespace {

double Ratio(double difference, double reference) {
  return difference == 0 ? 0 : difference / reference;
}

}  // namespace

void Difference::Add(std::span<const float> reference, std::span<const float> other) {
  CORACLE_CHECK(reference.size() == other.size());
  for (size_t i = 0; i < reference.size(); ++i) {
    const double from = reference[i];
    const double difference = other[i] - from;
    difference_squares_ += difference * difference;
    reference_squares_ += from * from;
    largest_difference_ = std::max(largest_difference_, std::abs(difference));
    largest_reference_ = std::max(largest_reference_, std::abs(from));
  }
}

double Difference::RelativeRms() const {
  return Ratio(std::sqrt(difference_squares_), std::sqrt(reference_squares_));
}

double Difference::RelativeLargest() const {
  return Ratio(largest_difference_, largest_reference_);
}

TopAgreement::TopAgreement(const Shape& shape) {
  const auto dims = shape.dims();
  const auto longer = std::ranges::count_if(dims, [](uint32_t dim) { return dim > 1; });
  if (longer == 1) {
    row_ = shape.Elements();
  } else if (shape.rank() >= 1 && shape.rank() <= 3) {
    row_ = shape.Back(0);
  }
}

void TopAgreement::Add(std::span<const float> reference, std::span<const float> other) {
  CORACLE_CHECK(applies() && reference.size() == other.size() && reference.size() % row_ == 0);
  for (size_t first = 0; first < reference.size(); first += row_) {
    const auto top = [&](std::span<const float> values) {
      const auto row = values.subspan(first, row_);
      return std::ranges::max_element(row) - row.begin();
    };
    ++rows_;
    agreeing_ += top(reference) == top(other) ? 1 : 0;
  }
}

}  // namespace coracle::vision
