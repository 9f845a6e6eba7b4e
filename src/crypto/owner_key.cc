#include "crypto/owner_key.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "crypto/hash.h"

namespace coracle::crypto {
namespace {

constexpr std::string_view kHeading = "coracle-owner-key-1 ";
constexpr size_t kKeyBytes = 32;
constexpr size_t kChecksumBytes = 4;
constexpr size_t kChecksumAt = kHeading.size() + 2 * kKeyBytes + 1;
constexpr size_t kNewlineAt = kChecksumAt + 2 * kChecksumBytes;
static_assert(kNewlineAt + 1 == kOwnerKeyTextBytes);

Bytes AsBytes(std::string_view text) { return std::as_bytes(std::span(text)); }

/// The digit by arithmetic: a table look-up would show key bytes by address.
std::byte HexDigit(unsigned nibble) {
  const unsigned letter = (nibble + 6) >> 4;  // 1 for 10..15
  return static_cast<std::byte>('0' + nibble + letter * ('a' - '0' - 10));
}

void PutHex(Bytes bytes, std::span<std::byte> out) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    out[2 * i] = HexDigit(std::to_integer<unsigned>(bytes[i]) >> 4);
    out[2 * i + 1] = HexDigit(std::to_integer<unsigned>(bytes[i]) & 15);
  }
}

std::optional<unsigned> Nibble(std::byte digit) {
  const auto c = static_cast<char>(digit);
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  return std::nullopt;
}

bool TakeHex(Bytes digits, std::span<std::byte> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    const std::optional<unsigned> high = Nibble(digits[2 * i]);
    const std::optional<unsigned> low = Nibble(digits[2 * i + 1]);
    if (!high || !low) return false;
    out[i] = static_cast<std::byte>(*high << 4 | *low);
  }
  return true;
}

Error NotAKey(const char* why) {
  return {Code::kMalformed, std::string("not an owner key: ") + why};
}

}  // namespace

Result<OwnerKeyText> EncodeOwnerKey(const Key256& key) {
  OwnerKeyText text;
  const std::span<std::byte> out = text.mutable_bytes();
  std::ranges::copy(AsBytes(kHeading), out.begin());
  PutHex(key.bytes(), out.subspan(kHeading.size(), 2 * kKeyBytes));
  out[kChecksumAt - 1] = std::byte{' '};
  TRY_ASSIGN(const Digest256 digest, Sha256(out.first(kChecksumAt - 1)));
  PutHex(Bytes(digest).first(kChecksumBytes), out.subspan(kChecksumAt, 2 * kChecksumBytes));
  out[kNewlineAt] = std::byte{'\n'};
  return text;
}

Result<Key256> DecodeOwnerKey(Bytes text) {
  if (text.size() < kHeading.size() ||
      !std::ranges::equal(text.first(kHeading.size()), AsBytes(kHeading))) {
    return NotAKey("it does not start with \"coracle-owner-key-1 \"");
  }
  const bool ends_in_newline = text.size() == kOwnerKeyTextBytes;
  if (!ends_in_newline && text.size() != kNewlineAt) return NotAKey("its length is wrong");
  if (ends_in_newline && text[kNewlineAt] != std::byte{'\n'}) return NotAKey("its end is wrong");
  Key256 key;
  std::array<std::byte, kChecksumBytes> checksum{};
  if (text[kChecksumAt - 1] != std::byte{' '} ||
      !TakeHex(text.subspan(kHeading.size(), 2 * kKeyBytes), key.mutable_bytes()) ||
      !TakeHex(text.subspan(kChecksumAt, 2 * kChecksumBytes), checksum)) {
    return NotAKey("it holds something else than lower-case hex digits");
  }
  TRY_ASSIGN(const Digest256 digest, Sha256(text.first(kChecksumAt - 1)));
  if (!std::ranges::equal(checksum, Bytes(digest).first(kChecksumBytes))) {
    return NotAKey("its checksum is wrong, so it was mistyped or cut");
  }
  return key;
}

Result<KeyId> OwnerKeyId(const Key256& key) {
  TRY_ASSIGN(const Key256 derived, DeriveKey(key, {}, AsBytes("coracle owner key id")));
  KeyId id{};
  std::ranges::copy(derived.bytes().first<kKeyIdBytes>(), id.begin());
  return id;
}

std::string Hex(Bytes bytes) {
  std::string text(2 * bytes.size(), '\0');
  PutHex(bytes, std::as_writable_bytes(std::span(text)));
  return text;
}

}  // namespace coracle::crypto
