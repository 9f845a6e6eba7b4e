// AES-256-GCM by OpenSSL. Its code reads ciphertext more than once, so Open first copies the
// ciphertext inside, into the plaintext's memory, and opens it there; and Seal makes ciphertext in
// a piece of stack, where it is authenticated, before it copies it out.

#include <openssl/err.h>
#include <openssl/evp.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <new>

#include "crypto/aead_backends.h"
#include "crypto/live_mark.h"

namespace coracle::crypto {
namespace {

struct ContextFree {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
struct CipherFree {
  void operator()(EVP_CIPHER* cipher) const { EVP_CIPHER_free(cipher); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, ContextFree>;

const uint8_t* Raw(Bytes bytes) { return reinterpret_cast<const uint8_t*>(bytes.data()); }
uint8_t* Raw(std::span<std::byte> bytes) { return reinterpret_cast<uint8_t*>(bytes.data()); }

/// OpenSSL takes int lengths. Requires: fits (nothing that is sealed comes near 2 GiB).
int Length(Bytes bytes) {
  CORACLE_CHECK(bytes.size() <= INT_MAX);
  return static_cast<int>(bytes.size());
}

/// The key, where the contexts' own heap may not keep it.
struct KeyState {
  explicit KeyState(const Key256& from) { std::ranges::copy(from.bytes(), key); }
  std::byte key[32];
  LiveMark live;
};
static_assert(sizeof(KeyState) <= kKeyMemoryBytes && alignof(KeyState) <= kKeyMemoryAlignment);

/// What stands in a context while the key must not: setting it overwrites all that came from the
/// key before it.
constexpr uint8_t kPublicKey[32] = {};

class OpenSslAead final : public Aead {
 public:
  /// The contexts have the key, or `state` (not null then) has it and they have kPublicKey.
  OpenSslAead(Context sealing, Context opening, KeyState* state)
      : sealing_(std::move(sealing)), opening_(std::move(opening)), state_(state) {}
  ~OpenSslAead() override {
    if (state_ != nullptr) WipeMemory(std::as_writable_bytes(std::span(state_, 1)));
  }

  void Seal(const Nonce& nonce, Bytes associated, Bytes plaintext, std::span<std::byte> ciphertext,
            Tag& tag) override {
    CORACLE_CHECK(ciphertext.size() == plaintext.size());
    CORACLE_CHECK(Alive());
    EVP_CIPHER_CTX* context = sealing_.get();
    int written = 0;
    CORACLE_CHECK(EVP_EncryptInit_ex2(context, nullptr, KeyToSet(), Raw(nonce), nullptr) == 1);
    if (!associated.empty()) {
      CORACLE_CHECK(
          EVP_EncryptUpdate(context, nullptr, &written, Raw(associated), Length(associated)) == 1);
    }
    SealPieces(plaintext, ciphertext);
    uint8_t nothing[1];
    CORACLE_CHECK(EVP_EncryptFinal_ex(context, nothing, &written) == 1);
    CORACLE_CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, tag.data()) == 1);
    if (state_ != nullptr) {
      CORACLE_CHECK(EVP_EncryptInit_ex2(context, nullptr, kPublicKey, nullptr, nullptr) == 1);
    }
  }

  Verdict Open(const Nonce& nonce, Bytes associated, Bytes ciphertext, const Tag& tag,
               std::span<std::byte> plaintext) override {
    CORACLE_CHECK(ciphertext.size() == plaintext.size());
    if (!ciphertext.empty() && ciphertext.data() != plaintext.data()) {
      std::memmove(plaintext.data(), ciphertext.data(), ciphertext.size());
    }
    const bool authentic = Alive() && OpenInPlace(nonce, associated, plaintext, tag);
    if (state_ != nullptr) {
      CORACLE_CHECK(EVP_DecryptInit_ex2(opening_.get(), nullptr, kPublicKey, nullptr, nullptr) ==
                    1);
    }
    if (authentic && Alive()) return Verdict::kAuthentic;
    WipeMemory(plaintext);
    ERR_clear_error();
    return Verdict::kTampered;
  }

 private:
  bool Alive() const { return state_ == nullptr || state_->live.stands(); }
  const uint8_t* KeyToSet() const { return state_ == nullptr ? nullptr : Raw(Bytes(state_->key)); }

  void SealPieces(Bytes plaintext, std::span<std::byte> ciphertext) {
    std::byte piece[4096];
    for (size_t done = 0; done < plaintext.size(); done += sizeof(piece)) {
      const Bytes from = plaintext.subspan(done, std::min(sizeof(piece), plaintext.size() - done));
      int written = 0;
      CORACLE_CHECK(EVP_EncryptUpdate(sealing_.get(), Raw(std::span<std::byte>(piece)), &written,
                                      Raw(from), Length(from)) == 1);
      std::memcpy(ciphertext.data() + done, piece, from.size());
    }
  }

  bool OpenInPlace(const Nonce& nonce, Bytes associated, std::span<std::byte> text, Tag tag) {
    EVP_CIPHER_CTX* context = opening_.get();
    int written = 0;
    if (EVP_DecryptInit_ex2(context, nullptr, KeyToSet(), Raw(nonce), nullptr) != 1) return false;
    if (EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) != 1) {
      return false;
    }
    if (!associated.empty() &&
        EVP_DecryptUpdate(context, nullptr, &written, Raw(associated), Length(associated)) != 1) {
      return false;
    }
    if (!text.empty() &&
        EVP_DecryptUpdate(context, Raw(text), &written, Raw(text), Length(text)) != 1) {
      return false;
    }
    uint8_t nothing[1];
    return EVP_DecryptFinal_ex(context, nothing, &written) == 1;  // compares in constant time
  }

  Context sealing_;
  Context opening_;
  KeyState* state_;
};

Result<std::unique_ptr<Aead>> Make(const uint8_t* key, KeyState* state) {
  std::unique_ptr<EVP_CIPHER, CipherFree> cipher(EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr));
  Context sealing(EVP_CIPHER_CTX_new());
  Context opening(EVP_CIPHER_CTX_new());
  if (cipher == nullptr || sealing == nullptr || opening == nullptr ||
      EVP_EncryptInit_ex2(sealing.get(), cipher.get(), key, nullptr, nullptr) != 1 ||
      EVP_DecryptInit_ex2(opening.get(), cipher.get(), key, nullptr, nullptr) != 1) {
    ERR_clear_error();
    return Error{Code::kInternal, "OpenSSL has no working AES-256-GCM"};
  }
  return std::unique_ptr<Aead>(
      std::make_unique<OpenSslAead>(std::move(sealing), std::move(opening), state));
}

}  // namespace

Result<std::unique_ptr<Aead>> MakeOpenSslAead(const Key256& key) {
  return Make(Raw(key.bytes()), nullptr);
}

Result<std::unique_ptr<Aead>> MakeOpenSslAeadIn(std::span<std::byte> key_memory,
                                                const Key256& key) {
  auto aead = Make(kPublicKey, new (key_memory.data()) KeyState(key));
  if (!aead.ok()) WipeMemory(key_memory);
  return aead;
}

}  // namespace coracle::crypto
