// Volume and LoadCounts: what is counted of a function, an object, a layer, a kind of memory.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "characterize/program/access_run.h"

namespace coracle::characterize {

struct Volume {
  uint64_t reads = 0;
  uint64_t writes = 0;
  uint64_t read_bytes = 0;
  uint64_t written_bytes = 0;

  uint64_t accesses() const { return reads + writes; }
  void Add(const AccessRun& run) {
    reads += run.reads;
    writes += run.writes;
    read_bytes += run.read_bytes;
    written_bytes += run.written_bytes;
  }
  void Add(const Volume& other) {
    reads += other.reads;
    writes += other.writes;
    read_bytes += other.read_bytes;
    written_bytes += other.written_bytes;
  }
};

/// Page loads in each of the memories of EpcCaches.
class LoadCounts {
 public:
  /// A load in the memories whose bits `memories` has.
  void Add(uint32_t memories) {
    for (; memories != 0; memories &= memories - 1) {
      const auto index = static_cast<size_t>(std::countr_zero(memories));
      if (index >= loads_.size()) loads_.resize(index + 1, 0);
      ++loads_[index];
    }
  }
  void Add(const LoadCounts& other) {
    if (other.loads_.size() > loads_.size()) loads_.resize(other.loads_.size(), 0);
    for (size_t i = 0; i < other.loads_.size(); ++i) loads_[i] += other.loads_[i];
  }
  /// In memory number `index`.
  uint64_t operator[](size_t index) const { return index < loads_.size() ? loads_[index] : 0; }

 private:
  std::vector<uint64_t> loads_;  ///< as many as were needed
};

}  // namespace coracle::characterize
