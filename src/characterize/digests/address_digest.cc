#include "characterize/digests/address_digest.h"

#include <fmt/format.h>

#include "characterize/reuse/dense_ids.h"

namespace coracle::characterize {

std::string AddressDigest::Hex() const {
  // Products are weak in their low bits.
  return fmt::format("{:016x}{:016x}", MixKey(first_ ^ items_), MixKey(second_ + items_));
}

}  // namespace coracle::characterize
