#include "characterize/reuse/traces_for_test.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <unordered_map>

#include "characterize/reuse/reuse_stack.h"

namespace coracle::characterize {
namespace {

using Keys = std::vector<uint64_t>;

Keys ZipfTrace(size_t touches, uint64_t elements, std::mt19937_64& random) {
  std::vector<double> weights(elements);
  for (uint64_t i = 0; i < elements; ++i) {
    weights[i] = std::pow(static_cast<double>(i + 1), -0.9);
  }
  std::discrete_distribution<uint64_t> draw(weights.begin(), weights.end());
  Keys keys(touches);
  for (uint64_t& key : keys) key = draw(random);
  return keys;
}

/// Each touch takes the element at a geometrically distributed depth of the stack.
Keys StackTrace(size_t touches, uint64_t elements, std::mt19937_64& random) {
  std::geometric_distribution<uint64_t> depth(0.01);
  Keys stack(std::min<uint64_t>(elements, 2000));
  std::iota(stack.begin(), stack.end(), 0);
  Keys keys(touches);
  for (uint64_t& key : keys) {
    const auto at = static_cast<ptrdiff_t>(std::min<uint64_t>(depth(random), stack.size() - 1));
    std::rotate(stack.begin(), stack.begin() + at, stack.begin() + at + 1);
    key = stack[0];
  }
  return keys;
}

/// counts[i] += the j < i of [begin, end) with last[j] <= last[i]; sorts `order` by last.
void CountEarlier(const std::vector<int64_t>& last, std::vector<size_t>& order, size_t begin,
                  size_t end, std::vector<uint64_t>& counts) {
  if (end - begin < 2) return;
  const size_t middle = begin + (end - begin) / 2;
  CountEarlier(last, order, begin, middle, counts);
  CountEarlier(last, order, middle, end, counts);
  size_t left = begin;
  for (size_t right = middle; right < end; ++right) {
    while (left < middle && last[order[left]] <= last[order[right]]) ++left;
    counts[order[right]] += left - begin;
  }
  const auto at = [&order](size_t i) { return order.begin() + static_cast<ptrdiff_t>(i); };
  std::inplace_merge(at(begin), at(middle), at(end),
                     [&last](size_t a, size_t b) { return last[a] < last[b]; });
}

}  // namespace

std::vector<NamedTrace> SyntheticTraces(size_t touches, uint64_t elements) {
  std::mt19937_64 random(7);
  Keys sequential(touches);
  Keys strided(touches);
  Keys uniform(touches);
  for (size_t i = 0; i < touches; ++i) {
    sequential[i] = i % elements;
    strided[i] = i * 64 % elements + i * 64 / elements % 64;
    uniform[i] = random() % elements;
  }
  return {{"sequential", std::move(sequential)},
          {"strided", std::move(strided)},
          {"random", std::move(uniform)},
          {"LRU stack", StackTrace(touches, elements, random)},
          {"Zipf", ZipfTrace(touches, elements, random)}};
}

std::vector<uint64_t> DistancesByList(const Keys& keys) {
  Keys stack;
  std::vector<uint64_t> distances;
  for (const uint64_t key : keys) {
    const auto found = std::find(stack.begin(), stack.end(), key);
    if (found == stack.end()) {
      distances.push_back(kCold);
      stack.insert(stack.begin(), key);
    } else {
      distances.push_back(static_cast<uint64_t>(found - stack.begin()));
      std::rotate(stack.begin(), found, found + 1);
    }
  }
  return distances;
}

std::vector<uint64_t> DistancesByMergeSort(const Keys& keys) {
  std::unordered_map<uint64_t, int64_t> seen;
  std::vector<int64_t> last;
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto [at, added] = seen.try_emplace(keys[i], static_cast<int64_t>(i));
    last.push_back(added ? -1 : at->second);
    at->second = static_cast<int64_t>(i);
  }
  std::vector<size_t> order(keys.size());
  std::iota(order.begin(), order.end(), 0);
  std::vector<uint64_t> counts(keys.size(), 0);
  CountEarlier(last, order, 0, keys.size(), counts);
  for (size_t i = 0; i < keys.size(); ++i) {
    counts[i] = last[i] < 0 ? kCold : counts[i] - static_cast<uint64_t>(last[i] + 1);
  }
  return counts;
}

}  // namespace coracle::characterize
