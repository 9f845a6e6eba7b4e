// ByteReader and ByteWriter: little-endian, bounds-checked, never trusting a length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace coracle {

using Bytes = std::span<const std::byte>;

/// Reads a byte range front to back. Every method fails with kMalformed past the end, naming `what`
/// (given at construction) and the position; nothing is consumed by a failing call.
class ByteReader {
 public:
  ByteReader(Bytes bytes, std::string_view what) : bytes_(bytes), what_(what) {}

  Result<uint8_t> U8();
  Result<uint16_t> U16();
  Result<uint32_t> U32();
  Result<uint64_t> U64();
  Result<float> F32();
  /// A view of the next `count` bytes, valid as long as the range that is read.
  Result<Bytes> Take(uint64_t count);
  /// A u32 length, at most `limit`, and that many bytes.
  Result<std::string> String(uint32_t limit);
  /// A u32 count, at most `limit`, whose elements of at least `element_bytes` each can still
  /// follow.
  Result<uint32_t> Count(uint32_t limit, uint64_t element_bytes);

  uint64_t position() const { return position_; }
  uint64_t remaining() const { return bytes_.size() - position_; }
  /// Errors: kMalformed if bytes are left.
  Status ExpectEnd() const;

 private:
  Bytes bytes_;
  std::string what_;
  uint64_t position_ = 0;
};

/// Appends little-endian values to a byte vector.
class ByteWriter {
 public:
  void U8(uint8_t value);
  void U16(uint16_t value);
  void U32(uint32_t value);
  void U64(uint64_t value);
  void F32(float value);
  void Raw(Bytes bytes);
  void String(std::string_view text);  ///< u32 length, bytes.

  const std::vector<std::byte>& bytes() const { return bytes_; }
  std::vector<std::byte> Release() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace coracle
