#include "characterize/digests/address_digest.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

namespace coracle::characterize {
namespace {

std::string DigestOf(const std::vector<uint64_t>& items) {
  AddressDigest digest;
  for (const uint64_t item : items) digest.Add(item);
  return digest.Hex();
}

TEST(AddressDigest, IsThatOfTheSequence) {
  EXPECT_EQ(DigestOf({1, 2, 3}), DigestOf({1, 2, 3}));
  EXPECT_EQ(DigestOf({1, 2, 3}).size(), 32u);
  const std::set<std::string> all = {DigestOf({}),     DigestOf({0}),         DigestOf({0, 0}),
                                     DigestOf({1}),    DigestOf({1, 2, 3}),   DigestOf({1, 3, 2}),
                                     DigestOf({3, 2}), DigestOf({1, 2, 3, 0})};
  EXPECT_EQ(all.size(), 8u);
}

TEST(AddressDigest, SeesEachBitOfEachItem) {
  std::mt19937_64 random(1);
  std::vector<uint64_t> items(200);
  for (uint64_t& item : items) item = random() >> 17;
  std::set<std::string> all = {DigestOf(items)};
  for (size_t i = 0; i < items.size(); ++i) {
    for (int bit = 0; bit < 47; ++bit) {
      items[i] ^= uint64_t{1} << bit;
      all.insert(DigestOf(items));
      items[i] ^= uint64_t{1} << bit;
    }
  }
  EXPECT_EQ(all.size(), 1 + items.size() * 47);
}

TEST(AddressDigest, SeesAnExchangeAnywhere) {
  // Sequences of neighbouring lines, as loops make them.
  std::vector<uint64_t> items(500);
  for (size_t i = 0; i < items.size(); ++i) items[i] = 0x100000000 + 2 * (i / 4);
  std::set<std::string> all = {DigestOf(items)};
  size_t exchanges = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    for (size_t j = i + 1; j < items.size(); ++j) {
      if (items[i] == items[j]) continue;
      std::swap(items[i], items[j]);
      all.insert(DigestOf(items));
      std::swap(items[i], items[j]);
      ++exchanges;
      j += 7;
    }
  }
  EXPECT_EQ(all.size(), 1 + exchanges);
}

}  // namespace
}  // namespace coracle::characterize
