// The range of a tensor's values, from what calibration saw of them, and the quantisation that
// covers it.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "graph/quantization.h"

namespace coracle::compile {

/// Always holds 0: padding and ReLU give it exactly.
struct ValueRange {
  float least = 0;
  float largest = 0;

  /// Makes this the range of both.
  void Include(const ValueRange& other);
  bool operator==(const ValueRange&) const = default;
};

/// Values counted by size. The scale of the bins is a power of two that grows with the values, so
/// that they may come in any order and be seen once.
class ValueHistogram {
 public:
  /// Bins on either side of 0.
  static constexpr uint32_t kBins = 2048;

  /// False, and nothing is counted, if one of the values is not finite.
  bool Add(std::span<const float> values);

  const ValueRange& range() const { return range_; }
  uint64_t count() const { return count_; }
  /// The range without the share `cut` of all values at either end, to the width of a bin.
  ValueRange WithoutEnds(double cut) const;
  /// The sum of squared errors of these values once quantised to uint8 over `range`: (value -
  /// end)^2 outside of it, step^2 / 12 inside; zeros are exact.
  double SquaredError(const ValueRange& range) const;

 private:
  using Side = std::array<uint64_t, kBins>;
  void GrowTo(float magnitude);
  double BinWidth() const { return limit_ / kBins; }

  Side below_{};  ///< bin i: values -v with v in [i, i + 1) widths
  Side above_{};
  double limit_ = 0;  ///< a power of two, more than every magnitude
  uint64_t count_ = 0;
  ValueRange range_;
};

enum class RangeMethod : uint8_t {
  kMinMax = 0,  ///< all values that calibration saw
  /// Up to the 99.99th percentile at either end (or the 99.999th), where leaving out the few values
  /// beyond halves the expected squared error, for they no longer take steps from all the others;
  /// else as kMinMax.
  kPercentile = 1,
};

ValueRange ChooseRange(const ValueHistogram& values, RangeMethod method);

/// scale = (largest - least) / 255, zero = round(-least / scale): both ends within half a step. A
/// range of nothing but 0 has scale 1.
graph::Quantization QuantizationOver(const ValueRange& range);

}  // namespace coracle::compile
