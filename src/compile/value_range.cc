#include "compile/value_range.h"

#include <algorithm>
#include <cmath>

namespace coracle::compile {
namespace {

constexpr double kSteps = 255;
/// Shares of the values that may be cut off at either end.
constexpr double kCuts[] = {1e-5, 1e-4};
/// A cut must save this share of the error: what it costs, it costs the largest values alone, which
/// networks heed most.
constexpr double kWorthwhile = 0.5;

/// The end of the bins, from the outermost inwards, that hold no more than `most` values.
double EndWithout(const std::array<uint64_t, ValueHistogram::kBins>& side, double width,
                  uint64_t most) {
  uint64_t cut = 0;
  for (uint32_t bin = ValueHistogram::kBins; bin-- > 0;) {
    cut += side[bin];
    if (cut > most) return (bin + 1) * width;
  }
  return 0;
}

double SideError(const std::array<uint64_t, ValueHistogram::kBins>& side, double width, double end,
                 double inside_error) {
  double error = 0;
  for (uint32_t bin = 0; bin < ValueHistogram::kBins; ++bin) {
    const double past = (bin + 0.5) * width - end;
    error += static_cast<double>(side[bin]) * (past > 0 ? past * past : inside_error);
  }
  return error;
}

}  // namespace

void ValueRange::Include(const ValueRange& other) {
  least = std::min(least, other.least);
  largest = std::max(largest, other.largest);
}

bool ValueHistogram::Add(std::span<const float> values) {
  ValueRange seen;
  bool finite = true;
  for (const float value : values) {
    seen.Include({value, value});
    finite &= std::isfinite(value);
  }
  if (!finite) return false;
  GrowTo(std::max(-seen.least, seen.largest));
  const auto bins_per_unit = static_cast<float>(limit_ == 0 ? 0 : kBins / limit_);
  for (const float value : values) {
    if (value == 0) continue;
    const float bin = std::min(std::abs(value) * bins_per_unit, float{kBins - 1});
    ++(value < 0 ? below_ : above_)[static_cast<uint32_t>(bin)];
  }
  count_ += values.size();
  range_.Include(seen);
  return true;
}

void ValueHistogram::GrowTo(float magnitude) {
  if (magnitude < limit_ || magnitude == 0) return;
  const double needed = std::exp2(std::ilogb(magnitude) + 1);
  for (; limit_ != 0 && limit_ < needed; limit_ *= 2) {
    for (Side* side : {&below_, &above_}) {
      for (uint32_t bin = 0; bin < kBins; ++bin) {
        const uint64_t moved = (*side)[bin];
        (*side)[bin] = 0;
        (*side)[bin / 2] += moved;
      }
    }
  }
  limit_ = needed;
}

ValueRange ValueHistogram::WithoutEnds(double cut) const {
  const auto most = static_cast<uint64_t>(cut * static_cast<double>(count_));
  const auto least = static_cast<float>(-EndWithout(below_, BinWidth(), most));
  const auto largest = static_cast<float>(EndWithout(above_, BinWidth(), most));
  return {std::max(least, range_.least), std::min(largest, range_.largest)};
}

double ValueHistogram::SquaredError(const ValueRange& range) const {
  const double step = (static_cast<double>(range.largest) - range.least) / kSteps;
  const double inside = step * step / 12;
  return SideError(below_, BinWidth(), -range.least, inside) +
         SideError(above_, BinWidth(), range.largest, inside);
}

ValueRange ChooseRange(const ValueHistogram& values, RangeMethod method) {
  if (method == RangeMethod::kMinMax) return values.range();
  ValueRange best = values.range();
  double least_error = kWorthwhile * values.SquaredError(best);
  for (const double share : kCuts) {
    const ValueRange cut = values.WithoutEnds(share);
    const double error = values.SquaredError(cut);
    if (cut.least == cut.largest || error >= least_error) continue;
    best = cut;
    least_error = error;
  }
  return best;
}

graph::Quantization QuantizationOver(const ValueRange& range) {
  const double width = static_cast<double>(range.largest) - range.least;
  const auto scale = static_cast<float>(width / kSteps);
  if (!(scale > 0)) return {};
  const double zero = std::nearbyint(-static_cast<double>(range.least) / scale);
  return {scale, static_cast<uint8_t>(std::clamp(zero, 0.0, kSteps))};
}

}  // namespace coracle::compile
