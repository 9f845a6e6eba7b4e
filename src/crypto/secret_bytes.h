// Key material: fixed size, move-only, wiped when it goes out of scope, never printed.
#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace coracle::crypto {

/// Overwrites memory in a way that the compiler may not drop.
void WipeMemory(std::span<std::byte> bytes);

template <size_t N>
class SecretBytes {
 public:
  SecretBytes() = default;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  SecretBytes(SecretBytes&& other) noexcept : bytes_(other.bytes_) { WipeMemory(other.bytes_); }
  SecretBytes& operator=(SecretBytes&& other) noexcept {
    if (this != &other) {
      bytes_ = other.bytes_;
      WipeMemory(other.bytes_);
    }
    return *this;
  }
  ~SecretBytes() { WipeMemory(bytes_); }

  std::span<const std::byte, N> bytes() const { return bytes_; }
  std::span<std::byte, N> mutable_bytes() { return bytes_; }

 private:
  std::array<std::byte, N> bytes_{};
};

using Key256 = SecretBytes<32>;

}  // namespace coracle::crypto
