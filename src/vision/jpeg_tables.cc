#include "vision/jpeg_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace coracle::vision {
namespace {

// ITU-T T.81, table B.1.
constexpr int kProgressive = 0xc2;
constexpr int kHuffmanTables = 0xc4;
constexpr int kRestartFirst = 0xd0;
constexpr int kRestartLast = 0xd7;
constexpr int kStartOfImage = 0xd8;
constexpr int kEndOfImage = 0xd9;
constexpr int kStartOfScan = 0xda;
constexpr int kEndOfFile = -1;
constexpr int kCodesMax = 256;
constexpr int kTableClasses = 2;
constexpr int kTables = 4;

class Walker {
 public:
  Walker(const StbRead& read, std::string_view name) : read_(read), name_(name) {}

  Status Walk() {
    position_ = 2;  // FF D8
    int marker = NextMarker();
    while (marker != kEndOfImage) {
      if (marker == kEndOfFile) return Malformed("it is cut short");
      const bool restart = marker >= kRestartFirst && marker <= kRestartLast;
      if (restart || marker <= 1 || marker == kStartOfImage) {
        return Malformed("a marker where none belongs");
      }
      progressive_ = progressive_ || marker == kProgressive;
      TRY(marker == kHuffmanTables ? Tables() : marker == kStartOfScan ? Scan() : SkipSegment());
      marker = marker == kStartOfScan ? MarkerAfterScan() : NextMarker();
    }
    return {};
  }

 private:
  Error Malformed(std::string_view what) const {
    return Error{Code::kMalformed, fmt::format("{} is a damaged image: {}", name_, what)};
  }

  int Byte() {
    if (position_ < piece_start_ || position_ >= piece_start_ + piece_bytes_) {
      piece_start_ = position_;
      piece_bytes_ = read_(position_, piece_);
      if (piece_bytes_ == 0) return kEndOfFile;
    }
    return static_cast<int>(piece_[position_++ - piece_start_]);
  }

  /// Past what is no marker, and past fill bytes.
  int NextMarker() {
    int byte = Byte();
    while (byte != 0xff && byte != kEndOfFile) byte = Byte();
    while (byte == 0xff) byte = Byte();
    return byte;
  }

  /// The marker that ends entropy-coded data: neither a stuffed zero nor a restart.
  int MarkerAfterScan() {
    int marker = NextMarker();
    while (marker == 0 || (marker >= kRestartFirst && marker <= kRestartLast))
      marker = NextMarker();
    return marker;
  }

  /// The payload's length of the segment that starts here; nothing if it is cut or wrong.
  std::optional<int> PayloadBytes() {
    const int high = Byte();
    const int low = Byte();
    if (low == kEndOfFile || high * 256 + low < 2) return std::nullopt;
    return high * 256 + low - 2;
  }

  Status SkipSegment() {
    const auto bytes = PayloadBytes();
    if (!bytes) return Malformed("a segment without a length");
    position_ += static_cast<uint64_t>(*bytes);
    return {};
  }

  Status Tables() {
    auto left = PayloadBytes();
    if (!left) return Malformed("a segment without a length");
    while (*left > 0) {
      const int head = Byte();
      const int table_class = head >> 4;
      const int table = head & 15;
      if (head == kEndOfFile || table_class >= kTableClasses || table >= kTables) {
        return Malformed("a Huffman table of an unknown kind");
      }
      int codes = 0;
      for (int length = 1; length <= 16; ++length) codes += std::max(Byte(), 0);
      *left -= 17 + codes;
      if (codes > kCodesMax || *left < 0) return Malformed("a Huffman table with too many codes");
      position_ += static_cast<uint64_t>(codes);
      defined_[static_cast<size_t>(table_class)][static_cast<size_t>(table)] = true;
    }
    return {};
  }

  Status Scan() {
    const auto bytes = PayloadBytes();
    const int components = Byte();
    if (!bytes || components < 1 || components > 4 || *bytes != 4 + 2 * components) {
      return Malformed("a scan header of the wrong length");
    }
    std::array<int, 4> selectors{};
    for (int i = 0; i < components; ++i) {
      Byte();  // which component
      selectors[static_cast<size_t>(i)] = Byte();
    }
    const int first = Byte();
    const int last = Byte();
    const bool refines = (Byte() >> 4) != 0;
    // T.81 G.1.1.1: a progressive scan holds either DC or AC, and DC refinement has no codes.
    const bool uses_dc = !progressive_ || (first == 0 && !refines);
    const bool uses_ac = !progressive_ || last != 0;
    for (int i = 0; i < components; ++i) {
      const int selector = selectors[static_cast<size_t>(i)];
      if (selector == kEndOfFile) return Malformed("it is cut short");
      const auto dc = static_cast<size_t>(selector >> 4);
      const auto ac = static_cast<size_t>(selector & 15);
      if (dc >= kTables || ac >= kTables || (uses_dc && !defined_[0][dc]) ||
          (uses_ac && !defined_[1][ac])) {
        return Malformed("a scan names a Huffman table that it lacks");
      }
    }
    return {};
  }

  const StbRead& read_;
  std::string_view name_;
  uint64_t position_ = 0;
  std::array<std::byte, 4096> piece_;
  uint64_t piece_start_ = 0;
  uint64_t piece_bytes_ = 0;
  bool progressive_ = false;
  bool defined_[kTableClasses][kTables] = {};
};

}  // namespace

Status CheckJpegTables(const StbRead& read, std::string_view name) {
  return Walker(read, name).Walk();
}

}  // namespace coracle::vision
