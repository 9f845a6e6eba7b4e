// AES-256-GCM by OpenSSL. Its code reads ciphertext more than once, so Open first copies the
// ciphertext inside, into the plaintext's memory, and opens it there.

#include <openssl/err.h>
#include <openssl/evp.h>

#include <climits>
#include <cstring>

#include "crypto/aead_backends.h"

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

class OpenSslAead final : public Aead {
 public:
  OpenSslAead(Context sealing, Context opening)
      : sealing_(std::move(sealing)), opening_(std::move(opening)) {}

  void Seal(const Nonce& nonce, Bytes associated, Bytes plaintext, std::span<std::byte> ciphertext,
            Tag& tag) override {
    CORACLE_CHECK(ciphertext.size() == plaintext.size());
    EVP_CIPHER_CTX* context = sealing_.get();
    int written = 0;
    CORACLE_CHECK(EVP_EncryptInit_ex2(context, nullptr, nullptr, Raw(nonce), nullptr) == 1);
    if (!associated.empty()) {
      CORACLE_CHECK(
          EVP_EncryptUpdate(context, nullptr, &written, Raw(associated), Length(associated)) == 1);
    }
    if (!plaintext.empty()) {
      CORACLE_CHECK(EVP_EncryptUpdate(context, Raw(ciphertext), &written, Raw(plaintext),
                                      Length(plaintext)) == 1);
    }
    uint8_t nothing[1];
    CORACLE_CHECK(EVP_EncryptFinal_ex(context, nothing, &written) == 1);
    CORACLE_CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, tag.data()) == 1);
  }

  Verdict Open(const Nonce& nonce, Bytes associated, Bytes ciphertext, const Tag& tag,
               std::span<std::byte> plaintext) override {
    CORACLE_CHECK(ciphertext.size() == plaintext.size());
    if (!ciphertext.empty() && ciphertext.data() != plaintext.data()) {
      std::memmove(plaintext.data(), ciphertext.data(), ciphertext.size());
    }
    if (OpenInPlace(nonce, associated, plaintext, tag)) return Verdict::kAuthentic;
    WipeMemory(plaintext);
    ERR_clear_error();
    return Verdict::kTampered;
  }

 private:
  bool OpenInPlace(const Nonce& nonce, Bytes associated, std::span<std::byte> text, Tag tag) {
    EVP_CIPHER_CTX* context = opening_.get();
    int written = 0;
    if (EVP_DecryptInit_ex2(context, nullptr, nullptr, Raw(nonce), nullptr) != 1) return false;
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
};

}  // namespace

Result<std::unique_ptr<Aead>> MakeOpenSslAead(const Key256& key) {
  std::unique_ptr<EVP_CIPHER, CipherFree> cipher(EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr));
  Context sealing(EVP_CIPHER_CTX_new());
  Context opening(EVP_CIPHER_CTX_new());
  if (cipher == nullptr || sealing == nullptr || opening == nullptr ||
      EVP_EncryptInit_ex2(sealing.get(), cipher.get(), Raw(key.bytes()), nullptr, nullptr) != 1 ||
      EVP_DecryptInit_ex2(opening.get(), cipher.get(), Raw(key.bytes()), nullptr, nullptr) != 1) {
    ERR_clear_error();
    return Error{Code::kInternal, "OpenSSL has no working AES-256-GCM"};
  }
  return std::unique_ptr<Aead>(
      std::make_unique<OpenSslAead>(std::move(sealing), std::move(opening)));
}

}  // namespace coracle::crypto
