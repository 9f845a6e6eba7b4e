// Synthetic traces, and two slow ways to their reuse distances that share nothing with ReuseStack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace coracle::characterize {

struct NamedTrace {
  std::string name;
  std::vector<uint64_t> keys;
};

/// Sequential, strided, random, LRU-stack (geometric distances) and Zipf traces of `touches`
/// touches of about `elements` elements.
std::vector<NamedTrace> SyntheticTraces(size_t touches, uint64_t elements);

/// By searching a list from its top: O(touches * distance).
std::vector<uint64_t> DistancesByList(const std::vector<uint64_t>& keys);
/// By merge sort: the distance of touch i, whose element was last touched at p, is the number of
/// touches j < i whose own last touch was at or before p, less the p + 1 touches up to p.
std::vector<uint64_t> DistancesByMergeSort(const std::vector<uint64_t>& keys);

}  // namespace coracle::characterize
