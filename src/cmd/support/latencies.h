// Latencies: the times of repeated predictions and what is reported of them.
#pragma once

#include <algorithm>
#include <vector>

namespace coracle::cmd {

/// Milliseconds, one for each prediction. Requires for every question: at least one.
struct Latencies {
  std::vector<double> ms;

  double Min() const { return *std::min_element(ms.begin(), ms.end()); }
  double Max() const { return *std::max_element(ms.begin(), ms.end()); }
  /// Of an even count: the mean of the two in the middle.
  double Median() const {
    std::vector<double> sorted = ms;
    std::sort(sorted.begin(), sorted.end());
    return (sorted[(sorted.size() - 1) / 2] + sorted[sorted.size() / 2]) / 2;
  }
};

}  // namespace coracle::cmd
