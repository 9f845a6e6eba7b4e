// The owner key as a text file: one line, "coracle-owner-key-1 <64 hex digits> <8 hex digits>\n",
// the last group being the first four bytes of SHA-256(the text before the space that precedes it).
// Pure functions on text; reading and writing files is host/'s business.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/secret_bytes.h"

namespace coracle::crypto {

inline constexpr uint32_t kOwnerKeyTextBytes = 94;
/// The text is as secret as the key, so it wipes itself too.
using OwnerKeyText = SecretBytes<kOwnerKeyTextBytes>;

/// Errors: kInternal if the library fails.
Result<OwnerKeyText> EncodeOwnerKey(const Key256& key);

/// Decodes exactly what EncodeOwnerKey writes; the final newline may be missing.
/// Errors: kMalformed; the message never holds any of the text.
Result<Key256> DecodeOwnerKey(Bytes text);

inline constexpr uint32_t kKeyIdBytes = 16;
/// Tells owner keys apart without telling anything about them.
using KeyId = std::array<std::byte, kKeyIdBytes>;

/// The first 16 bytes of HKDF-SHA256(key, no salt, "coracle owner key id").
Result<KeyId> OwnerKeyId(const Key256& key);

/// "3f9c...": lower-case hex, for messages and JSON. Not for secrets.
std::string Hex(Bytes bytes);

}  // namespace coracle::crypto
