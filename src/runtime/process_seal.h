// ProcessSeal: the key of this process, for what waits in host memory while it runs (spilled
// tensors, inputs, outputs), and the counter that its nonces are drawn from.
//
// The key is drawn when the object is made, is never written anywhere, and goes with it. Key,
// counter and key schedules live in memory that a fork wipes (host::Memory::ReserveForProcess): a
// child has no key, can seal and open nothing, and so never draws a nonce again that its parent
// draws. Whoever keeps a block keeps its counter inside: a host that replays an older block of the
// same place is refused, as is one that changes, moves or delays one.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/result.h"
#include "crypto/aead.h"
#include "crypto/live_mark.h"
#include "host/outside.h"

namespace coracle::runtime {

/// The number of a session. No two of a process have the same.
enum class Lease : uint64_t {};

/// Which of the process's nonces sealed a block.
enum class SealCounter : uint64_t {};
inline constexpr SealCounter kNeverSealed{0};

/// kRefused: this is the child of a fork, or the last nonce is spent.
enum class [[nodiscard]] SealOutcome : uint8_t{kSealed, kRefused};

/// Counts up, gives each number once, and ends rather than begin again. Threads: any. Once its
/// memory has been zeroed it gives nothing.
class NonceCounter {
 public:
  explicit NonceCounter(uint64_t first = 1) : next_(first) {}
  /// Never kNeverSealed. Nothing: exhausted, or wiped.
  std::optional<SealCounter> Draw();

 private:
  std::atomic<uint64_t> next_;
};

/// Seals and opens for one worker. Allocates nothing, calls nothing. Threads: one at a time.
class ProcessSealer {
 public:
  virtual ~ProcessSealer() = default;
  /// Seals under a nonce of its own, which `counter` names then (kRefused: kNeverSealed, and
  /// nothing usable in `ciphertext`). `ciphertext` (as long as `plaintext`) may be host memory;
  /// `tag` is not.
  virtual SealOutcome Seal(Bytes associated, Bytes plaintext, std::span<std::byte> ciphertext,
                           crypto::Tag& tag, SealCounter& counter) = 0;
  /// Opens what Seal sealed under `counter`. kTampered: `plaintext` has been zeroed. So is
  /// everything kTampered in the child of a fork, and under kNeverSealed.
  virtual crypto::Verdict Open(SealCounter counter, Bytes associated, Bytes ciphertext,
                               const crypto::Tag& tag, std::span<std::byte> plaintext) = 0;
};

/// Made once in a program and handed to whoever seals. Threads: any. Outlives its sealers.
class ProcessSeal {
 public:
  /// Draws the key. `memory` must outlive the seal. Errors: kUnavailable (no random bytes, or no
  /// memory that a fork wipes), kUnsupported (this machine cannot run `backend`).
  static Result<std::unique_ptr<ProcessSeal>> Create(host::Entropy& entropy, host::Memory& memory,
                                                     crypto::AeadBackend backend);
  virtual ~ProcessSeal() = default;

  /// Errors: kUnavailable in the child of a fork.
  virtual Result<Lease> NewLease() = 0;
  /// Takes kKeyMemoryBytes (crypto/aead.h) of secure memory. Errors: kUnavailable.
  virtual Result<std::unique_ptr<ProcessSealer>> NewSealer() = 0;
};

}  // namespace coracle::runtime
