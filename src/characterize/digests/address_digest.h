// AddressDigest: a sequence of addresses in 128 bits, so that two runs can be compared without
// keeping either. Two lanes of 64 bits, each a multiplication by an odd number and a rotation an
// item: either step can be undone, so that two sequences that differ in one item never agree.
//
// NOT cryptographic: it finds differences that happen, not those that somebody makes up against it.
#pragma once

#include <bit>
#include <cstdint>
#include <string>

namespace coracle::characterize {

/// One lane: the digest of what came before, and one more.
inline uint64_t MixAddress(uint64_t digest, uint64_t item) {
  constexpr uint64_t kOdd = 0x9e3779b97f4a7c15;  // 2^64 / the golden ratio (Knuth, vol. 3, 6.4)
  return (std::rotl(digest, 29) ^ item) * kOdd;
}

class AddressDigest {
 public:
  void Add(uint64_t item) {
    constexpr uint64_t kOdd = 0xd6e8feb86659fd93;
    first_ = MixAddress(first_, item);
    second_ = std::rotl((second_ + item) * kOdd, 32) ^ item;
    ++items_;
  }

  uint64_t items() const { return items_; }
  /// 32 hexadecimal digits.
  std::string Hex() const;

 private:
  uint64_t first_ = 0;
  uint64_t second_ = 0;
  uint64_t items_ = 0;
};

}  // namespace coracle::characterize
