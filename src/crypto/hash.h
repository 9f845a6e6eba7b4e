// SHA-256, HKDF-SHA256 (RFC 5869) and constant-time comparison.
#pragma once

#include <array>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/secret_bytes.h"

namespace coracle::crypto {

using Digest256 = std::array<std::byte, 32>;

Result<Digest256> Sha256(Bytes first, Bytes second = {});

/// HKDF-SHA256(key, salt, info) -> 32 bytes. Errors: kInternal if the library fails.
Result<Key256> DeriveKey(const Key256& key, Bytes salt, Bytes info);

/// The same for key material of any length (RFC 5869's own vectors). Errors: kInternal.
Result<Key256> HkdfSha256(Bytes key_material, Bytes salt, Bytes info);

/// Time independent of the contents. False if the sizes differ.
bool EqualConstantTime(Bytes a, Bytes b);

}  // namespace coracle::crypto
