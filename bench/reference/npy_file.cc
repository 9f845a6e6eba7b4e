#include "npy_file.h"

#include <fmt/ranges.h>

#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "fail.h"

namespace coracle::reference {
namespace {

struct TypeRow {
  NpyType type;
  std::string_view descr;
  std::string_view name;
  size_t element_bytes;
};

constexpr std::array kTypeRows = {
    TypeRow{NpyType::kFloat32, "<f4", "float32", 4},
    TypeRow{NpyType::kFloat64, "<f8", "float64", 8},
    TypeRow{NpyType::kFloat16, "<f2", "float16", 2},
    TypeRow{NpyType::kInt64, "<i8", "int64", 8},
    TypeRow{NpyType::kInt32, "<i4", "int32", 4},
    TypeRow{NpyType::kInt16, "<i2", "int16", 2},
    TypeRow{NpyType::kInt8, "|i1", "int8", 1},
    TypeRow{NpyType::kUint16, "<u2", "uint16", 2},
    TypeRow{NpyType::kUint8, "|u1", "uint8", 1},
    TypeRow{NpyType::kBool, "|b1", "bool", 1},
};

const TypeRow& RowOf(NpyType type) {
  for (const TypeRow& row : kTypeRows) {
    if (row.type == type) return row;
  }
  Fail("npy: unknown element type {}", static_cast<int>(type));
}

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr size_t kPreambleBytes = 10;  // magic, two version bytes, a 16-bit header length
constexpr size_t kHeaderAlignment = 64;
constexpr size_t kDimensionsMax = 16;
constexpr int64_t kElementsMax = int64_t{1} << 36;

/// The text after `'key':` in the header's Python dictionary.
std::optional<std::string_view> ValueAfterKey(std::string_view header, std::string_view key) {
  const size_t at = header.find(fmt::format("'{}'", key));
  if (at == std::string_view::npos) return std::nullopt;
  const size_t colon = header.find(':', at);
  if (colon == std::string_view::npos) return std::nullopt;
  const size_t value = header.find_first_not_of(' ', colon + 1);
  if (value == std::string_view::npos) return std::nullopt;
  return header.substr(value);
}

NpyType ParseType(std::string_view header, std::string_view path) {
  const std::optional<std::string_view> value = ValueAfterKey(header, "descr");
  for (const TypeRow& row : kTypeRows) {
    if (value && value->substr(1, row.descr.size()) == row.descr) return row.type;
  }
  Fail("{}: element type is not one of float, int, uint or bool, little-endian", path);
}

std::vector<int64_t> ParseShape(std::string_view header, std::string_view path) {
  const std::optional<std::string_view> value = ValueAfterKey(header, "shape");
  if (!value || value->front() != '(' || value->find(')') == std::string_view::npos) {
    Fail("{}: header has no shape", path);
  }
  const std::string_view tuple = value->substr(1, value->find(')') - 1);
  std::vector<int64_t> shape;
  int64_t element_count = 1;
  const char* at = tuple.data();
  const char* const end = tuple.data() + tuple.size();
  while (at != end) {
    if (*at == ' ' || *at == ',') {
      ++at;
      continue;
    }
    int64_t dimension = 0;
    const auto [next, error] = std::from_chars(at, end, dimension);
    if (error != std::errc() || dimension < 0 || shape.size() == kDimensionsMax) {
      Fail("{}: cannot read shape ({})", path, tuple);
    }
    if (dimension > 0 && element_count > kElementsMax / dimension) {
      Fail("{}: shape ({}) has too many elements", path, tuple);
    }
    element_count *= dimension;
    shape.push_back(dimension);
    at = next;
  }
  return shape;
}

std::string ReadWholeFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) Fail("{}: cannot open: {}", path.string(), std::strerror(errno));
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

/// The preamble and the header of `array`, padded as the format asks for.
std::string FormatHeader(const NpyArray& array) {
  const char* const comma = array.shape.size() == 1 ? "," : "";
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}",
                                   RowOf(array.type).descr, fmt::join(array.shape, ", "), comma);
  const size_t unpadded = kPreambleBytes + header.size() + 1;
  header.append((kHeaderAlignment - unpadded % kHeaderAlignment) % kHeaderAlignment, ' ');
  header.push_back('\n');
  std::string preamble(kMagic);
  preamble.push_back('\x01');
  preamble.push_back('\x00');
  preamble.push_back(static_cast<char>(header.size() & 0xff));
  preamble.push_back(static_cast<char>(header.size() >> 8));
  return preamble + header;
}

}  // namespace

size_t ElementBytes(NpyType type) { return RowOf(type).element_bytes; }

std::string_view TypeName(NpyType type) { return RowOf(type).name; }

int64_t NpyArray::element_count() const {
  int64_t count = 1;
  for (const int64_t dimension : shape) count *= dimension;
  return count;
}

std::span<const float> NpyArray::floats() const {
  if (type != NpyType::kFloat32) Fail("npy: {} array used as float32", TypeName(type));
  return {reinterpret_cast<const float*>(bytes.data()), bytes.size() / sizeof(float)};
}

std::span<float> NpyArray::floats() {
  if (type != NpyType::kFloat32) Fail("npy: {} array used as float32", TypeName(type));
  return {reinterpret_cast<float*>(bytes.data()), bytes.size() / sizeof(float)};
}

NpyArray MakeNpyArray(NpyType type, std::vector<int64_t> shape) {
  NpyArray array{type, std::move(shape), {}};
  array.bytes.resize(static_cast<size_t>(array.element_count()) * ElementBytes(type));
  return array;
}

NpyArray ReadNpy(const std::filesystem::path& path) {
  const std::string name = path.string();
  const std::string file = ReadWholeFile(path);
  if (file.size() < kPreambleBytes + 2 || !file.starts_with(kMagic)) {
    Fail("{}: not a .npy file", name);
  }
  const auto byte_at = [&](size_t index) { return static_cast<uint8_t>(file[index]); };
  const bool has_long_header = byte_at(6) >= 2;
  size_t header_bytes = byte_at(8) | static_cast<size_t>(byte_at(9)) << 8;
  if (has_long_header) {
    header_bytes |= static_cast<size_t>(byte_at(10)) << 16 | static_cast<size_t>(byte_at(11)) << 24;
  }
  const size_t header_offset = has_long_header ? kPreambleBytes + 2 : kPreambleBytes;
  if (header_bytes > file.size() - header_offset) Fail("{}: header is cut short", name);
  const std::string_view contents = file;
  const std::string_view header = contents.substr(header_offset, header_bytes);

  const std::optional<std::string_view> order = ValueAfterKey(header, "fortran_order");
  if (!order || !order->starts_with("False")) {
    Fail("{}: not in C order; save it with numpy.ascontiguousarray", name);
  }
  NpyArray array = MakeNpyArray(ParseType(header, name), ParseShape(header, name));
  const size_t data_bytes = file.size() - header_offset - header_bytes;
  if (data_bytes != array.bytes.size()) {
    Fail("{}: shape needs {} bytes of data, file has {}", name, array.bytes.size(), data_bytes);
  }
  if (data_bytes != 0) {
    std::memcpy(array.bytes.data(), file.data() + header_offset + header_bytes, data_bytes);
  }
  return array;
}

void WriteNpy(const std::filesystem::path& path, const NpyArray& array) {
  const std::filesystem::path temporary = path.string() + ".tmp";
  {
    std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
    const std::string header = FormatHeader(array);
    file.write(header.data(), static_cast<std::streamsize>(header.size()));
    file.write(reinterpret_cast<const char*>(array.bytes.data()),
               static_cast<std::streamsize>(array.bytes.size()));
    file.close();
    if (!file) Fail("{}: cannot write: {}", temporary.string(), std::strerror(errno));
  }
  std::error_code error;
  std::filesystem::rename(temporary, path, error);
  if (error) Fail("{}: cannot rename: {}", temporary.string(), error.message());
}

}  // namespace coracle::reference
