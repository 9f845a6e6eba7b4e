#include "crypto/secret_bytes.h"

#include <openssl/crypto.h>

namespace coracle::crypto {

void WipeMemory(std::span<std::byte> bytes) { OPENSSL_cleanse(bytes.data(), bytes.size()); }

}  // namespace coracle::crypto
