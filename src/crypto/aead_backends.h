// The two AEAD backends by name, and ipsec-mb's instruction sets one by one: for aead.cc and for
// tests that must see each of them. Everybody else uses aead.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/result.h"
#include "crypto/aead.h"

namespace coracle::crypto {

/// Which of ipsec-mb's AES-GCM implementations. Each has been shown to read ciphertext once.
enum class IpsecMbIsa : uint8_t {
  kBest,        ///< what the library picks for this machine
  kSse,         ///< AES-NI and PCLMULQDQ
  kAvx,         ///< the same instructions, VEX-encoded
  kAvx2,        ///< as kAvx with an AVX2 layout of the hash keys
  kAvx512,      ///< AVX-512 registers, 128-bit AES
  kAvx512Vaes,  ///< AVX-512, VAES and VPCLMULQDQ
};
inline constexpr IpsecMbIsa kIpsecMbIsas[] = {IpsecMbIsa::kSse, IpsecMbIsa::kAvx, IpsecMbIsa::kAvx2,
                                              IpsecMbIsa::kAvx512, IpsecMbIsa::kAvx512Vaes};
std::string_view IpsecMbIsaName(IpsecMbIsa isa);

/// True if this machine has the instructions that `isa` needs.
bool IpsecMbRuns(IpsecMbIsa isa);

/// Errors: kUnsupported unless IpsecMbRuns(isa); kInternal if the library fails its self-test.
Result<std::unique_ptr<Aead>> MakeIpsecMbAead(IpsecMbIsa isa, const Key256& key);
Result<std::unique_ptr<Aead>> MakeIpsecMbAeadIn(std::span<std::byte> key_memory, IpsecMbIsa isa,
                                                const Key256& key);

/// Errors: kInternal if the library lacks AES-256-GCM.
Result<std::unique_ptr<Aead>> MakeOpenSslAead(const Key256& key);
Result<std::unique_ptr<Aead>> MakeOpenSslAeadIn(std::span<std::byte> key_memory, const Key256& key);

}  // namespace coracle::crypto
