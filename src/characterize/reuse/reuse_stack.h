// ReuseStack: exact reuse distances, that is positions in an LRU stack (Mattson et al., IBM
// Systems Journal 9, 1970): how many other elements were touched since an element's last touch. An
// LRU memory of C elements misses exactly the touches of distance >= C, and the first ones.
//
// The top of the stack is a short array, searched from its top. Below, each element has a bit at
// the time when it left the array, and its distance is the number of bits after its own: Bennett
// and Kruskal (IBM J. Research and Development 19, 1975), with a Fenwick tree over blocks of 512
// bits; the block that is being filled goes into the tree when it is full.
// Times run out after a while; then the elements are numbered anew in their order, at an amortised
// cost of O(1) a touch. A touch costs O(log n), one of the last few elements O(1).
// Memory: 4 bytes an id and 8 to 17 bytes an element.
// Threads: one at a time.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace coracle::characterize {

/// Distance of an element's first touch.
inline constexpr uint64_t kCold = UINT64_MAX;

class ReuseStack {
 public:
  ReuseStack();

  /// Puts `id` (dense: DenseIds) on top. Returns its distance: 0 if it was there already.
  uint64_t Touch(uint32_t id) {
    if (front_count_ != 0 && front_[0] == id) return 0;
    return TouchBelow(id);
  }
  /// Takes an element out; its next touch is its first. Nothing happens if it is not there.
  void Remove(uint32_t id);

  uint64_t count() const { return front_count_ + live_; }

 private:
  static constexpr uint32_t kFront = 8;
  static constexpr uint32_t kBlockBits = 512;
  // Places of an id, and beyond these kFirstTime + time.
  static constexpr uint32_t kAbsent = 0;
  static constexpr uint32_t kInFront = 1;
  static constexpr uint32_t kFirstTime = 2;

  uint64_t TouchBelow(uint32_t id);
  uint64_t TouchInFront(uint32_t id);
  void PushFront(uint32_t id);
  void Append(uint32_t id);
  void Clear(uint32_t time);
  /// Elements whose time is after `time`.
  uint64_t CountAfter(uint32_t time) const;
  void AddToBlock(uint32_t block, int32_t by);
  void Renumber();

  std::array<uint32_t, kFront> front_ = {};
  uint32_t front_count_ = 0;
  std::vector<uint32_t> place_;      ///< by id
  std::vector<uint32_t> id_at_;      ///< by time
  std::vector<uint64_t> bits_;       ///< by time / 64: whether an element is there
  std::vector<uint32_t> block_sum_;  ///< Fenwick tree, 1-based, over blocks of kBlockBits
  uint32_t next_time_ = 0;
  uint32_t live_ = 0;        ///< bits that are set
  uint32_t open_block_ = 0;  ///< that of the last time
  uint32_t open_count_ = 0;  ///< bits that are set in it: the tree does not have them yet
};

}  // namespace coracle::characterize
