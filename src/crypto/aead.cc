#include "crypto/aead.h"

#include "crypto/aead_backends.h"

namespace coracle::crypto {

std::string_view AeadBackendName(AeadBackend backend) {
  switch (backend) {
    case AeadBackend::kIpsecMb:
      return "ipsec-mb";
    case AeadBackend::kOpenSsl:
      return "openssl";
  }
  CORACLE_CHECK(false);
  return {};
}

AeadBackend PreferredAeadBackend() {
  return IpsecMbRuns(IpsecMbIsa::kBest) ? AeadBackend::kIpsecMb : AeadBackend::kOpenSsl;
}

Result<std::unique_ptr<Aead>> MakeAead(AeadBackend backend, const Key256& key) {
  switch (backend) {
    case AeadBackend::kIpsecMb:
      return MakeIpsecMbAead(IpsecMbIsa::kBest, key);
    case AeadBackend::kOpenSsl:
      return MakeOpenSslAead(key);
  }
  CORACLE_CHECK(false);
  return Error{Code::kInternal, "no such AEAD backend"};
}

Result<std::unique_ptr<Aead>> MakeAeadIn(std::span<std::byte> key_memory, AeadBackend backend,
                                         const Key256& key) {
  CORACLE_CHECK(key_memory.size() >= kKeyMemoryBytes);
  CORACLE_CHECK(reinterpret_cast<uintptr_t>(key_memory.data()) % kKeyMemoryAlignment == 0);
  switch (backend) {
    case AeadBackend::kIpsecMb:
      return MakeIpsecMbAeadIn(key_memory, IpsecMbIsa::kBest, key);
    case AeadBackend::kOpenSsl:
      return MakeOpenSslAeadIn(key_memory, key);
  }
  CORACLE_CHECK(false);
  return Error{Code::kInternal, "no such AEAD backend"};
}

}  // namespace coracle::crypto
