// Bytes for tests: from hex digits, and reproducible noise.
#pragma once

#include <cstdint>
#include <random>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "crypto/secret_bytes.h"

namespace coracle::crypto {

inline std::vector<std::byte> FromHex(std::string_view text) {
  CORACLE_CHECK(text.size() % 2 == 0);
  const auto nibble = [](char c) {
    return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
  };
  std::vector<std::byte> bytes;
  for (size_t i = 0; i < text.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(nibble(text[i]) << 4 | nibble(text[i + 1])));
  }
  return bytes;
}

inline std::vector<std::byte> Noise(size_t bytes, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> out(bytes);
  for (std::byte& byte : out) byte = static_cast<std::byte>(random() >> 56);
  return out;
}

inline Key256 KeyOf(std::span<const std::byte> bytes) {
  CORACLE_CHECK(bytes.size() == 32);
  Key256 key;
  for (size_t i = 0; i < 32; ++i) key.mutable_bytes()[i] = bytes[i];
  return key;
}

}  // namespace coracle::crypto
