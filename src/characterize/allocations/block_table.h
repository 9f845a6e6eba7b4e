// BlockTable: the large blocks that a program holds, so that of the many blocks that it frees only
// those are told of. It is in the program, under its allocator: it takes no lock and no memory.
// Threads: any. A block is put in by the thread that got it and taken out by the one that frees it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coracle::characterize {

class BlockTable {
 public:
  /// As many as fit: 65,536 at best. What finds its row full is not kept: from then on Take answers
  /// true for all addresses, and who is told of one too many frees ignores those.
  void Put(uint64_t address) {
    for (uint64_t& slot : RowOf(address)) {
      uint64_t empty = 0;
      if (__atomic_compare_exchange_n(&slot, &empty, address, false, __ATOMIC_RELAXED,
                                      __ATOMIC_RELAXED)) {
        return;
      }
    }
    __atomic_store_n(&overflown_, true, __ATOMIC_RELAXED);
  }

  /// Whether it was put in; it is no longer.
  bool Take(uint64_t address) {
    for (uint64_t& slot : RowOf(address)) {
      if (__atomic_load_n(&slot, __ATOMIC_RELAXED) != address) continue;
      __atomic_store_n(&slot, 0, __ATOMIC_RELAXED);
      return true;
    }
    return __atomic_load_n(&overflown_, __ATOMIC_RELAXED);
  }

 private:
  static constexpr size_t kRowShift = 13;
  using Row = uint64_t[8];  // a line

  /// Multiplicative hashing: Knuth, The Art of Computer Programming 3, 6.4.
  Row& RowOf(uint64_t address) {
    return rows_[(address >> 4) * 0x9e3779b97f4a7c15 >> (64 - kRowShift)];
  }

  alignas(64) Row rows_[size_t{1} << kRowShift] = {};
  bool overflown_ = false;
};

}  // namespace coracle::characterize
