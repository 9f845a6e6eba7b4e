#include "seal/text.h"

#include <cstddef>
#include <cstdint>

namespace coracle::seal {
namespace {

/// Bytes that may follow a lead byte: `count` of them, the first in [low, high], the others
/// 80..BF. count 0 with low 1: the lead byte is wrong.
struct Continuation {
  uint8_t count;
  uint8_t low;
  uint8_t high;
};

Continuation After(uint8_t lead) {
  if (lead < 0x80) return {0, 0, 0};
  if (lead >= 0xc2 && lead <= 0xdf) return {1, 0x80, 0xbf};
  if (lead == 0xe0) return {2, 0xa0, 0xbf};
  if (lead == 0xed) return {2, 0x80, 0x9f};
  if (lead >= 0xe1 && lead <= 0xef) return {2, 0x80, 0xbf};
  if (lead == 0xf0) return {3, 0x90, 0xbf};
  if (lead >= 0xf1 && lead <= 0xf3) return {3, 0x80, 0xbf};
  if (lead == 0xf4) return {3, 0x80, 0x8f};
  return {0, 1, 0};
}

bool IsControl(uint8_t lead, uint8_t second) {
  if (lead == 0xc2) return second < 0xa0;  // U+0080..U+009F
  return (lead < 0x20 && lead != '\t') || lead == 0x7f;
}

}  // namespace

bool IsPrintableUtf8(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<uint8_t>(text[i]);
    const Continuation rest = After(lead);
    if (rest.count == 0 && rest.low == 1) return false;
    if (rest.count > text.size() - i - 1) return false;
    const uint8_t second = rest.count == 0 ? uint8_t{0} : static_cast<uint8_t>(text[i + 1]);
    if (IsControl(lead, second)) return false;
    for (size_t k = 1; k <= rest.count; ++k) {
      const auto byte = static_cast<uint8_t>(text[i + k]);
      const uint8_t low = k == 1 ? rest.low : uint8_t{0x80};
      const uint8_t high = k == 1 ? rest.high : uint8_t{0xbf};
      if (byte < low || byte > high) return false;
    }
    i += size_t{1} + rest.count;
  }
  return true;
}

}  // namespace coracle::seal
