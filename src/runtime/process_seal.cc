#include "runtime/process_seal.h"

#include <limits>
#include <new>

#include "base/check.h"

namespace coracle::runtime {
namespace {

/// What a fork must not copy, in memory that it does not copy.
struct ProcessState {
  crypto::LiveMark live;
  NonceCounter counters;
  NonceCounter leases;
  crypto::Key256 key;
};

/// Constructs a ProcessState in its region, and wipes it.
class StateRegion {
 public:
  explicit StateRegion(std::unique_ptr<host::MemoryRegion> region)
      : region_(std::move(region)), state_(new (region_->bytes().data()) ProcessState) {}
  StateRegion(const StateRegion&) = delete;
  StateRegion& operator=(const StateRegion&) = delete;
  ~StateRegion() { state_->~ProcessState(); }
  ProcessState& operator*() { return *state_; }
  ProcessState* operator->() { return state_; }

 private:
  const std::unique_ptr<host::MemoryRegion> region_;
  ProcessState* const state_;
};

/// Four bytes of zeros, then the counter: no two are the same under the process's key, which seals
/// nothing else.
crypto::Nonce NonceOf(SealCounter counter) {
  crypto::Nonce nonce{};
  for (size_t i = 0; i < 8; ++i) {
    nonce[4 + i] = static_cast<std::byte>(static_cast<uint64_t>(counter) >> (8 * i));
  }
  return nonce;
}

class PlacedSealer final : public ProcessSealer {
 public:
  PlacedSealer(ProcessState& state, std::unique_ptr<host::MemoryRegion> region,
               std::unique_ptr<crypto::Aead> aead)
      : state_(state), region_(std::move(region)), aead_(std::move(aead)) {}

  SealOutcome Seal(Bytes associated, Bytes plaintext, std::span<std::byte> ciphertext,
                   crypto::Tag& tag, SealCounter& counter) override {
    counter = kNeverSealed;
    if (!state_.live.stands()) return SealOutcome::kRefused;
    const std::optional<SealCounter> drawn = state_.counters.Draw();
    if (!drawn.has_value()) return SealOutcome::kRefused;
    aead_->Seal(NonceOf(*drawn), associated, plaintext, ciphertext, tag);
    // A signal handler may have forked meanwhile: what the child has sealed since is worthless.
    if (!state_.live.stands()) return SealOutcome::kRefused;
    counter = *drawn;
    return SealOutcome::kSealed;
  }

  crypto::Verdict Open(SealCounter counter, Bytes associated, Bytes ciphertext,
                       const crypto::Tag& tag, std::span<std::byte> plaintext) override {
    if (counter != kNeverSealed && state_.live.stands()) {
      return aead_->Open(NonceOf(counter), associated, ciphertext, tag, plaintext);
    }
    crypto::WipeMemory(plaintext);
    return crypto::Verdict::kTampered;
  }

 private:
  ProcessState& state_;
  const std::unique_ptr<host::MemoryRegion> region_;  // holds what aead_ knows of the key
  const std::unique_ptr<crypto::Aead> aead_;
};

Error NoKey() {
  return {Code::kUnavailable,
          "this process is the child of a fork and has no key to seal with; start a new one"};
}

class PlacedSeal final : public ProcessSeal {
 public:
  PlacedSeal(std::unique_ptr<host::MemoryRegion> region, host::Memory& memory,
             crypto::AeadBackend backend)
      : state_(std::move(region)), memory_(memory), backend_(backend) {}

  Status DrawKey(host::Entropy& entropy) { return entropy.Fill(state_->key.mutable_bytes()); }

  Result<Lease> NewLease() override {
    if (!state_->live.stands()) return NoKey();
    const std::optional<SealCounter> drawn = state_->leases.Draw();
    if (!drawn.has_value()) return NoKey();
    return static_cast<Lease>(*drawn);
  }

  Result<std::unique_ptr<ProcessSealer>> NewSealer() override {
    if (!state_->live.stands()) return NoKey();
    TRY_ASSIGN(auto region, memory_.ReserveForProcess(crypto::kKeyMemoryBytes));
    TRY_ASSIGN(auto aead, crypto::MakeAeadIn(region->bytes(), backend_, state_->key));
    return std::unique_ptr<ProcessSealer>(
        std::make_unique<PlacedSealer>(*state_, std::move(region), std::move(aead)));
  }

 private:
  StateRegion state_;
  host::Memory& memory_;
  const crypto::AeadBackend backend_;
};

}  // namespace

std::optional<SealCounter> NonceCounter::Draw() {
  uint64_t counter = next_.load(std::memory_order_relaxed);
  do {
    if (counter == 0 || counter == std::numeric_limits<uint64_t>::max()) return std::nullopt;
  } while (!next_.compare_exchange_weak(counter, counter + 1, std::memory_order_relaxed));
  return static_cast<SealCounter>(counter);
}

Result<std::unique_ptr<ProcessSeal>> ProcessSeal::Create(host::Entropy& entropy,
                                                         host::Memory& memory,
                                                         crypto::AeadBackend backend) {
  TRY_ASSIGN(auto region, memory.ReserveForProcess(sizeof(ProcessState)));
  CORACLE_CHECK(region->bytes().size() >= sizeof(ProcessState));
  auto seal = std::make_unique<PlacedSeal>(std::move(region), memory, backend);
  TRY(seal->DrawKey(entropy));
  TRY_ASSIGN(const auto first, seal->NewSealer());  // now rather than in the first session
  return std::unique_ptr<ProcessSeal>(std::move(seal));
}

}  // namespace coracle::runtime
