#include "vision/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "base/checked.h"
#include "vision/npy_header.h"

namespace coracle::vision {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are copied as they are stored");

constexpr size_t kPieceBytes = 4 << 10;
constexpr uint64_t kFileBytesMax = uint64_t{1} << 40;

/// IEEE 754 binary16 to binary32.
float HalfToFloat(uint16_t half) {
  const int exponent = (half >> 10) & 0x1f;
  const float fraction = static_cast<float>(half & 0x3ff);
  float magnitude = 0;
  if (exponent == 0) {
    magnitude = std::ldexp(fraction, -24);
  } else if (exponent == 31) {
    magnitude = fraction == 0 ? std::numeric_limits<float>::infinity()
                              : std::numeric_limits<float>::quiet_NaN();
  } else {
    magnitude = std::ldexp(1024.0f + fraction, exponent - 25);
  }
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

template <typename T>
void Convert(std::span<const std::byte> bytes, std::span<float> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    T element;
    std::memcpy(&element, bytes.data() + i * sizeof(T), sizeof(T));
    values[i] = static_cast<float>(element);
  }
}

void ConvertHalf(std::span<const std::byte> bytes, std::span<float> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t half = 0;
    std::memcpy(&half, bytes.data() + i * sizeof(half), sizeof(half));
    values[i] = HalfToFloat(half);
  }
}

void ConvertElements(DType dtype, std::span<const std::byte> bytes, std::span<float> values) {
  switch (dtype) {
    case DType::kFloat32:
      return Convert<float>(bytes, values);
    case DType::kFloat64:
      return Convert<double>(bytes, values);
    case DType::kFloat16:
      return ConvertHalf(bytes, values);
    case DType::kInt8:
      return Convert<int8_t>(bytes, values);
    case DType::kUint8:
    case DType::kBool:
      return Convert<uint8_t>(bytes, values);
    case DType::kInt16:
      return Convert<int16_t>(bytes, values);
    case DType::kUint16:
      return Convert<uint16_t>(bytes, values);
    case DType::kInt32:
      return Convert<int32_t>(bytes, values);
    case DType::kUint32:
      return Convert<uint32_t>(bytes, values);
    case DType::kInt64:
      return Convert<int64_t>(bytes, values);
    case DType::kUint64:
      return Convert<uint64_t>(bytes, values);
  }
  CheckFailed(__FILE__, __LINE__, "known dtype");
}

}  // namespace

Result<NpyReader> NpyReader::Open(const std::string& path) {
  TRY_ASSIGN(InputFile file, InputFile::Open(path, kFileBytesMax));
  std::vector<std::byte> prefix(std::min(file.size(), kNpyHeaderBytesMax));
  TRY(file.ReadAt(0, prefix));
  TRY_ASSIGN(const NpyHeader header, ParseNpyHeader(prefix, file.size(), path));
  return NpyReader(std::move(file), header.dtype, header.shape, header.data_offset);
}

Result<NpyReader> NpyReader::OpenRaw(const std::string& path, const Shape& shape) {
  TRY_ASSIGN(InputFile file, InputFile::Open(path, kFileBytesMax));
  const auto elements = shape.CheckedElements();
  const auto bytes = elements ? CheckedMul(*elements, sizeof(float)) : std::nullopt;
  if (!bytes || *bytes != file.size()) {
    return Error{Code::kMalformed,
                 fmt::format("{} has {} bytes; float32 of shape {} needs {}", path, file.size(),
                             shape.ToString(), bytes ? fmt::format("{}", *bytes) : "over 2^64")};
  }
  return NpyReader(std::move(file), DType::kFloat32, shape, 0);
}

Status NpyReader::Read(uint64_t first, std::span<float> values) const {
  const uint64_t elements = shape_.Elements();
  CORACLE_CHECK(first <= elements && values.size() <= elements - first);
  const size_t width = DTypeBytes(dtype_);
  uint64_t offset = data_offset_ + first * width;
  if (dtype_ == DType::kFloat32) return file_.ReadAt(offset, std::as_writable_bytes(values));
  std::array<std::byte, kPieceBytes> piece;
  while (!values.empty()) {
    const size_t count = std::min(values.size(), piece.size() / width);
    const auto bytes = std::span(piece).first(count * width);
    TRY(file_.ReadAt(offset, bytes));
    ConvertElements(dtype_, bytes, values.first(count));
    values = values.subspan(count);
    offset += bytes.size();
  }
  return {};
}

Result<NpyWriter> NpyWriter::Create(const std::string& path, const Shape& shape) {
  TRY_ASSIGN(OutputFile file, OutputFile::Create(path));
  const auto header = FormatNpyHeader(shape);
  TRY(file.Write(header));
  return NpyWriter(std::move(file), shape.Elements(), header.size());
}

Status NpyWriter::Append(std::span<const float> values) {
  CORACLE_CHECK(values.size() <= left_);
  left_ -= values.size();
  return file_.Write(std::as_bytes(values));
}

Status NpyWriter::WriteAt(uint64_t first, std::span<const float> values) {
  CORACLE_CHECK(first <= elements_ && values.size() <= elements_ - first);
  CORACLE_CHECK(values.size() <= left_);
  left_ -= values.size();
  return file_.WriteAt(data_offset_ + first * sizeof(float), std::as_bytes(values));
}

Status NpyWriter::Finish() {
  CORACLE_CHECK(left_ == 0);
  return file_.Commit();
}

}  // namespace coracle::vision
