#include "characterize/digests/address_digest.h"

#include <fmt/format.h>

namespace coracle::characterize {
namespace {

/// Spreads each bit over all (MurmurHash3's finalizer): products are weak in their low bits.
uint64_t Spread(uint64_t x) {
  x = (x ^ x >> 33) * 0xff51afd7ed558ccd;
  x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53;
  return x ^ x >> 33;
}

}  // namespace

std::string AddressDigest::Hex() const {
  return fmt::format("{:016x}{:016x}", Spread(first_ ^ items_), Spread(second_ + items_));
}

}  // namespace coracle::characterize
