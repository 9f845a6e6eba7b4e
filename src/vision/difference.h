// How far the outputs of one network are from those of another, over any number of predictions.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/shape.h"

namespace coracle::vision {

/// Sums of squares and extremes. A value.
class Difference {
 public:
  /// The next elements of both. Requires: equally many.
  void Add(std::span<const float> reference, std::span<const float> other);

  /// Root mean square of the difference, over that of the reference. 0 where both are 0.
  double RelativeRms() const;
  /// The largest difference, over the largest magnitude of the reference. 0 where both are 0.
  double RelativeLargest() const;

 private:
  double difference_squares_ = 0;
  double reference_squares_ = 0;
  double largest_difference_ = 0;
  double largest_reference_ = 0;
};

/// Where the largest element of each row of scores is: the last axis of an output of rank 1 to 3,
/// or the only axis longer than 1.
class TopAgreement {
 public:
  /// Of outputs of this shape.
  explicit TopAgreement(const Shape& shape);

  /// False for outputs that are no rows of scores: there is nothing to agree on.
  bool applies() const { return row_ > 1; }
  /// One prediction's output of each, whole. Requires: applies().
  void Add(std::span<const float> reference, std::span<const float> other);

  uint64_t rows() const { return rows_; }
  uint64_t agreeing() const { return agreeing_; }

 private:
  uint64_t row_ = 0;  ///< elements of a row
  uint64_t rows_ = 0;
  uint64_t agreeing_ = 0;
};

}  // namespace coracle::vision
