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

  /// ciphertext.size() == plaintext.size(); the two may be the same memory. `ciphertext` may be
  /// memory that hostile code changes meanwhile: it is written once and never read back, so `tag`
  /// vouches for `plaintext` alone. Requires: the key has not been wiped (see MakeAeadIn).
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

/// What MakeAeadIn asks for: so many bytes, at such an address.
inline constexpr uint32_t kKeyMemoryBytes = 2048;
inline constexpr uint32_t kKeyMemoryAlignment = 64;

/// As MakeAead, but the key, and between calls all that is derived from it, lives in `key_memory`
/// alone (wiped when the Aead goes, before which it must not). Where a fork wipes that memory, the
/// child's Aead is dead: Open says kTampered, Seal is a CHECK failure; both without a key in use.
/// OpenSSL keeps its key schedule in a heap that a fork copies, so that backend sets the key anew
/// for each call and overwrites the schedule after it: a fork made by another thread in the middle
/// of a call still copies that one schedule, as it copies the caller's stack.
/// Requires: key_memory.size() >= kKeyMemoryBytes, aligned.
/// Errors: kUnsupported if this machine cannot run `backend`.
Result<std::unique_ptr<Aead>> MakeAeadIn(std::span<std::byte> key_memory, AeadBackend backend,
                                         const Key256& key);

}  // namespace coracle::crypto
