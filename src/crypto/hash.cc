#include "crypto/hash.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <memory>

namespace coracle::crypto {
namespace {

struct DigestFree {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
struct KdfFree {
  void operator()(EVP_KDF* kdf) const { EVP_KDF_free(kdf); }
  void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
};

/// OSSL_PARAM has no pointer to const; the library only reads.
OSSL_PARAM Octets(const char* name, Bytes bytes) {
  return OSSL_PARAM_construct_octet_string(name, const_cast<std::byte*>(bytes.data()),
                                           bytes.size());
}

Error LibraryFailed(const char* what) {
  ERR_clear_error();
  return {Code::kInternal, std::string("OpenSSL failed to compute ") + what};
}

}  // namespace

Result<Digest256> Sha256(Bytes first, Bytes second) {
  std::unique_ptr<EVP_MD_CTX, DigestFree> context(EVP_MD_CTX_new());
  Digest256 digest{};
  if (context == nullptr || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1 ||
      EVP_DigestUpdate(context.get(), first.data(), first.size()) != 1 ||
      EVP_DigestUpdate(context.get(), second.data(), second.size()) != 1 ||
      EVP_DigestFinal_ex(context.get(), reinterpret_cast<uint8_t*>(digest.data()), nullptr) != 1) {
    return LibraryFailed("SHA-256");
  }
  return digest;
}

Result<Key256> DeriveKey(const Key256& key, Bytes salt, Bytes info) {
  return HkdfSha256(key.bytes(), salt, info);
}

Result<Key256> HkdfSha256(Bytes key_material, Bytes salt, Bytes info) {
  std::unique_ptr<EVP_KDF, KdfFree> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  if (kdf == nullptr) return LibraryFailed("HKDF");
  std::unique_ptr<EVP_KDF_CTX, KdfFree> context(EVP_KDF_CTX_new(kdf.get()));
  if (context == nullptr) return LibraryFailed("HKDF");
  char digest[] = "SHA256";
  // RFC 5869: no salt means 32 zero bytes, and no info the empty string; the library refuses null.
  const std::byte zeros[32] = {};
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      Octets(OSSL_KDF_PARAM_KEY, key_material),
      Octets(OSSL_KDF_PARAM_SALT, salt.empty() ? Bytes(zeros) : salt),
      Octets(OSSL_KDF_PARAM_INFO, info.empty() ? Bytes(zeros).first(0) : info),
      OSSL_PARAM_construct_end(),
  };
  Key256 derived;
  const std::span<std::byte> out = derived.mutable_bytes();
  if (EVP_KDF_derive(context.get(), reinterpret_cast<uint8_t*>(out.data()), out.size(),
                     parameters) != 1) {
    return LibraryFailed("HKDF");
  }
  return derived;
}

bool EqualConstantTime(Bytes a, Bytes b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace coracle::crypto
