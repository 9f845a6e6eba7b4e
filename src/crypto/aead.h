// AES-256-GCM, by one of two libraries behind one interface.
//
// Threads: an Aead serves one thread at a time; each worker has its own. Seal and Open allocate
// nothing and make no system call.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/secret_bytes.h"

namespace coracle::crypto {

inline constexpr uint32_t kNonceBytes = 12;
inline constexpr uint32_t kTagBytes = 16;
using Nonce = std::array<std::byte, kNonceBytes>;
using Tag = std::array<std::byte, kTagBytes>;

enum class AeadBackend : uint8_t {
  kIpsecMb,  ///< fast; reads ciphertext once
  kOpenSsl,  ///< portable fallback; copies ciphertext inside before it opens it
};
std::string_view AeadBackendName(AeadBackend backend);

/// The fastest backend that this machine runs.
AeadBackend PreferredAeadBackend();

/// Whether a text was authentic. A plain enum because the hot path allocates nothing.
enum class [[nodiscard]] Verdict : uint8_t{kAuthentic, kTampered};

class Aead {
 public:
  virtual ~Aead() = default;

  /// ciphertext.size() == plaintext.size(); the two may be the same memory.
  virtual void Seal(const Nonce& nonce, Bytes associated, Bytes plaintext,
                    std::span<std::byte> ciphertext, Tag& tag) = 0;
  /// Opens `ciphertext`, which hostile code may change meanwhile (it is read once, or copied
  /// first), into `plaintext` (same size; may be the same memory). kTampered: `plaintext` has been
  /// zeroed.
  virtual Verdict Open(const Nonce& nonce, Bytes associated, Bytes ciphertext, const Tag& tag,
                       std::span<std::byte> plaintext) = 0;
};

/// Errors: kUnsupported if this machine cannot run `backend`.
Result<std::unique_ptr<Aead>> MakeAead(AeadBackend backend, const Key256& key);

}  // namespace coracle::crypto
