#include "import/quoted.h"

namespace coracle::import {
namespace {

constexpr size_t kQuotedBytesMax = 100;

}  // namespace

std::string Quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text.substr(0, kQuotedBytesMax)) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte == 0x7F ? '?' : c;
  }
  if (text.size() > kQuotedBytesMax) out += "...";
  return out + "'";
}

}  // namespace coracle::import
