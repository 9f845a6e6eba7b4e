// DenseIds: small numbers for sparse keys (page numbers), so that what is known of a key lies in
// arrays. An id that was given back is given out again.
//
// Open addressing with linear probing at a load of at most 5/8, and deletion by shifting back
// (Knuth, The Art of Computer Programming 3, 6.4, algorithm R): no tombstones, however many keys
// come and go.
// Threads: none of its own; one at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace coracle::characterize {

/// A mixing function that is a bijection (the finaliser of MurmurHash3): equal keys, equal hashes,
/// and nothing else is equal.
constexpr uint64_t MixKey(uint64_t key) {
  key ^= key >> 33;
  key *= 0xff51afd7ed558ccdu;
  key ^= key >> 33;
  key *= 0xc4ceb9fe1a85ec53u;
  return key ^ (key >> 33);
}

class DenseIds {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  DenseIds();

  struct Found {
    uint32_t id = kNone;
    bool added = false;
  };
  /// The id of `key`, which gets one if it has none.
  Found FindOrAdd(uint64_t key) {
    const uint64_t recent = key % kRecent;
    if (recent_[recent].id != kNone && recent_[recent].key == key)
      return {recent_[recent].id, false};
    const Found found = FindOrAddSlowly(key);
    recent_[recent] = {key, found.id};
    return found;
  }
  /// kNone if it has none.
  uint32_t Find(uint64_t key) const;
  /// Gives the id of `key` back, and returns it; kNone if it had none.
  uint32_t Remove(uint64_t key);
  /// `to` takes over the id of `from`. Requires: `from` has one and `to` none.
  void Rename(uint64_t from, uint64_t to);

  /// The keys in [begin, end), in no order. O(count).
  std::vector<uint64_t> KeysBetween(uint64_t begin, uint64_t end) const;

  uint64_t count() const { return count_; }
  /// All ids are below this.
  uint32_t bound() const { return bound_; }

 private:
  static constexpr uint64_t kRecent = 64;
  struct Entry {
    uint64_t key = 0;
    uint32_t id = kNone;
  };

  size_t Home(uint64_t key) const { return MixKey(key) & (entries_.size() - 1); }
  size_t Probe(uint64_t key) const;
  Found FindOrAddSlowly(uint64_t key);
  void Grow();
  void Erase(size_t hole);

  std::vector<Entry> entries_;
  std::array<Entry, kRecent> recent_;  ///< the keys last asked for, by their low bits
  std::vector<uint32_t> free_;
  uint64_t count_ = 0;
  uint32_t bound_ = 0;
};

}  // namespace coracle::characterize
