// The parts of the findings that say who accesses what: by function, by block of memory and the
// call path that asked for it, by layer. Part of findings.h's AnalysisJson.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "characterize/analysis/findings.h"

namespace coracle::characterize {

inline constexpr size_t kFunctionsListed = 64;  ///< those with the most accesses
inline constexpr size_t kObjectsListed = 256;   ///< those with the most touched bytes
inline constexpr size_t kCallPathsListed = 64;  ///< those with the most bytes accessed
inline constexpr size_t kAccessorsListed = 4;   ///< by bytes

/// "functions", "objects", "call_paths", "layers": each only if there is something to say.
/// Requires: analysis.Settle().
Json PartsJson(const TraceAnalysis& analysis, const TraceNames& names);

// What both files write in one way.

/// The positions in `items` of the `listed` items with the largest key; of equals the first ones.
template <typename Item, typename Key>
std::vector<size_t> Largest(const std::vector<Item>& items, size_t listed, Key key) {
  std::vector<size_t> order(items.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return key(items[a]) > key(items[b]); });
  if (order.size() > listed) order.resize(listed);
  return order;
}

/// A whole number where it is one.
Json Number(double value);
/// {"reads", "writes", "read_bytes", "written_bytes"}.
Json VolumeJson(const Volume& volume);
/// The upper end of the bucket that the median is in; 0 for nothing.
uint64_t MedianDistance(const DistanceHistogram& returns);

}  // namespace coracle::characterize
