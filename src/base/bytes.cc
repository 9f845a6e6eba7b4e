#include "base/bytes.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

namespace coracle {
namespace {

template <typename T>
T LoadLittleEndian(Bytes bytes) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value | static_cast<T>(static_cast<T>(bytes[i]) << (8 * i)));
  }
  return value;
}

template <typename T>
void StoreLittleEndian(T value, std::vector<std::byte>& out) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    out.push_back(static_cast<std::byte>((value >> (8 * i)) & 0xFF));
  }
}

}  // namespace

Result<Bytes> ByteReader::Take(uint64_t count) {
  if (count > remaining()) {
    return Error{Code::kMalformed, fmt::format("{} is cut short: {} bytes wanted at {}, {} left",
                                               what_, count, position_, remaining())};
  }
  const Bytes taken = bytes_.subspan(position_, count);
  position_ += count;
  return taken;
}

Result<uint8_t> ByteReader::U8() {
  TRY_ASSIGN(const Bytes bytes, Take(1));
  return LoadLittleEndian<uint8_t>(bytes);
}

Result<uint16_t> ByteReader::U16() {
  TRY_ASSIGN(const Bytes bytes, Take(2));
  return LoadLittleEndian<uint16_t>(bytes);
}

Result<uint32_t> ByteReader::U32() {
  TRY_ASSIGN(const Bytes bytes, Take(4));
  return LoadLittleEndian<uint32_t>(bytes);
}

Result<uint64_t> ByteReader::U64() {
  TRY_ASSIGN(const Bytes bytes, Take(8));
  return LoadLittleEndian<uint64_t>(bytes);
}

Result<float> ByteReader::F32() {
  TRY_ASSIGN(const uint32_t bits, U32());
  return std::bit_cast<float>(bits);
}

Result<std::string> ByteReader::String(uint32_t limit) {
  const uint64_t start = position_;
  TRY_ASSIGN(const uint32_t count, Count(limit, 1));
  Result<Bytes> bytes = Take(count);
  if (!bytes.ok()) {
    position_ = start;
    return std::move(bytes).error();
  }
  std::string text(count, '\0');
  if (count > 0) std::memcpy(text.data(), bytes->data(), count);
  return text;
}

Result<uint32_t> ByteReader::Count(uint32_t limit, uint64_t element_bytes) {
  const uint64_t start = position_;
  TRY_ASSIGN(const uint32_t count, U32());
  if (count > limit || count * element_bytes > remaining()) {
    position_ = start;
    return Error{Code::kMalformed,
                 fmt::format("{} has a count of {} at {} (at most {} here, {} bytes left)", what_,
                             count, start, limit, remaining())};
  }
  return count;
}

Status ByteReader::ExpectEnd() const {
  if (remaining() == 0) return {};
  return Error{Code::kMalformed,
               fmt::format("{} has {} bytes too many at {}", what_, remaining(), position_)};
}

void ByteWriter::U8(uint8_t value) { bytes_.push_back(static_cast<std::byte>(value)); }
void ByteWriter::U16(uint16_t value) { StoreLittleEndian(value, bytes_); }
void ByteWriter::U32(uint32_t value) { StoreLittleEndian(value, bytes_); }
void ByteWriter::U64(uint64_t value) { StoreLittleEndian(value, bytes_); }
void ByteWriter::F32(float value) { U32(std::bit_cast<uint32_t>(value)); }
void ByteWriter::Raw(Bytes bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }

void ByteWriter::String(std::string_view text) {
  U32(static_cast<uint32_t>(text.size()));
  Raw(std::as_bytes(std::span(text)));
}

}  // namespace coracle
