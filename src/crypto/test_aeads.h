// Every AES-GCM implementation that this machine runs, for tests that must see each.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/check.h"
#include "crypto/aead_backends.h"

namespace coracle::crypto {

struct AeadMaker {
  std::string name;
  std::function<std::unique_ptr<Aead>(const Key256&)> make;
};

/// Key memory of its own around an Aead that MakeAeadIn made.
class AeadInKeyMemory final : public Aead {
 public:
  using Make = std::function<Result<std::unique_ptr<Aead>>(std::span<std::byte>)>;
  explicit AeadInKeyMemory(const Make& make) : aead_(make(memory_->bytes).value()) {}

  void Seal(const Nonce& nonce, Bytes associated, Bytes plaintext, std::span<std::byte> ciphertext,
            Tag& tag) override {
    aead_->Seal(nonce, associated, plaintext, ciphertext, tag);
  }
  Verdict Open(const Nonce& nonce, Bytes associated, Bytes ciphertext, const Tag& tag,
               std::span<std::byte> plaintext) override {
    return aead_->Open(nonce, associated, ciphertext, tag, plaintext);
  }
  std::span<std::byte> key_memory() { return memory_->bytes; }

 private:
  struct alignas(kKeyMemoryAlignment) Memory {
    std::byte bytes[kKeyMemoryBytes] = {};
  };
  std::unique_ptr<Memory> memory_ = std::make_unique<Memory>();
  std::unique_ptr<Aead> aead_;
};

inline std::vector<AeadMaker> AllAeads() {
  std::vector<AeadMaker> makers;
  makers.push_back({"openssl", [](const Key256& key) { return MakeOpenSslAead(key).value(); }});
  makers.push_back({"openssl, key apart", [](const Key256& key) {
                      return std::make_unique<AeadInKeyMemory>(
                          [&key](auto memory) { return MakeOpenSslAeadIn(memory, key); });
                    }});
  for (const IpsecMbIsa isa : kIpsecMbIsas) {
    if (!IpsecMbRuns(isa)) continue;
    makers.push_back({std::string(IpsecMbIsaName(isa)),
                      [isa](const Key256& key) { return MakeIpsecMbAead(isa, key).value(); }});
  }
  return makers;
}

}  // namespace coracle::crypto
