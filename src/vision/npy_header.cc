#include "vision/npy_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <span>

#include "base/checked.h"

namespace coracle::vision {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kAlignment = 64;

/// Reads the dictionary literal front to back.
class DictReader {
 public:
  explicit DictReader(std::string_view text) : text_(text) {}

  void SkipSpaces() {
    while (!text_.empty() && text_.front() == ' ') text_.remove_prefix(1);
  }
  bool Accept(std::string_view token) {
    SkipSpaces();
    if (!text_.starts_with(token)) return false;
    text_.remove_prefix(token.size());
    return true;
  }
  /// A quoted string without escapes.
  std::optional<std::string_view> Quoted() {
    SkipSpaces();
    if (text_.empty() || (text_.front() != '\'' && text_.front() != '"')) return std::nullopt;
    const size_t end = text_.find(text_.front(), 1);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view inside = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return inside;
  }
  /// A decimal number that fits 32 bits.
  std::optional<uint32_t> Number() {
    SkipSpaces();
    uint64_t value = 0;
    size_t digits = 0;
    while (digits < text_.size() && text_[digits] >= '0' && text_[digits] <= '9') {
      value = value * 10 + static_cast<uint64_t>(text_[digits] - '0');
      if (value > std::numeric_limits<uint32_t>::max()) return std::nullopt;
      ++digits;
    }
    if (digits == 0 || (digits > 1 && text_.front() == '0')) return std::nullopt;
    text_.remove_prefix(digits);
    return static_cast<uint32_t>(value);
  }
  /// Only spaces and the closing newline are left.
  bool AtEnd() {
    SkipSpaces();
    return text_ == "\n";
  }

 private:
  std::string_view text_;
};

struct ElementType {
  std::string_view descr;
  DType dtype;
};
constexpr std::array kElementTypes = {
    ElementType{"<f4", DType::kFloat32}, ElementType{"<f8", DType::kFloat64},
    ElementType{"<f2", DType::kFloat16}, ElementType{"|u1", DType::kUint8},
    ElementType{"|i1", DType::kInt8},    ElementType{"|b1", DType::kBool},
    ElementType{"<i2", DType::kInt16},   ElementType{"<u2", DType::kUint16},
    ElementType{"<i4", DType::kInt32},   ElementType{"<u4", DType::kUint32},
    ElementType{"<i8", DType::kInt64},   ElementType{"<u8", DType::kUint64},
};

Error Malformed(std::string_view name, std::string_view what) {
  return Error{Code::kMalformed, fmt::format("{}: not a valid .npy file: {}", name, what)};
}

Result<DType> ParseDescr(std::string_view name, std::string_view descr) {
  for (const ElementType& type : kElementTypes) {
    if (type.descr == descr) return type.dtype;
  }
  return Error{Code::kUnsupported,
               fmt::format("{}: element type '{}': save little-endian float32 "
                           "(array.astype('<f4')), or another type among f2 f8 i1 i2 i4 i8 u1 b1",
                           name, descr.substr(0, 16))};
}

Result<Shape> ParseShape(std::string_view name, DictReader& dict) {
  Shape shape;
  if (!dict.Accept("(")) return Malformed(name, "shape is not a tuple");
  bool comma = true;
  while (!dict.Accept(")")) {
    const auto dim = comma ? dict.Number() : std::nullopt;
    if (!dim) return Malformed(name, "a dimension is not a number below 2^32");
    if (shape.rank() == kMaxRank) {
      return Error{Code::kUnsupported, fmt::format("{}: more than {} dimensions", name, kMaxRank)};
    }
    shape.Append(*dim);
    comma = dict.Accept(",");
    if (!comma && shape.rank() == 1) return Malformed(name, "shape is not a tuple");
  }
  return shape;
}

struct DictFields {
  std::optional<DType> dtype;
  std::optional<bool> fortran_order;
  std::optional<Shape> shape;
};

Status ParseField(std::string_view name, DictReader& dict, DictFields& fields) {
  const auto key = dict.Quoted();
  if (!key || !dict.Accept(":")) return Malformed(name, "header is not a dictionary");
  if (*key == "descr" && !fields.dtype) {
    const auto descr = dict.Quoted();
    if (!descr) {
      return Error{Code::kUnsupported, fmt::format("{}: a structured element type", name)};
    }
    TRY_ASSIGN(fields.dtype, ParseDescr(name, *descr));
  } else if (*key == "fortran_order" && !fields.fortran_order) {
    if (dict.Accept("True")) {
      fields.fortran_order = true;
    } else if (dict.Accept("False")) {
      fields.fortran_order = false;
    } else {
      return Malformed(name, "fortran_order is neither True nor False");
    }
  } else if (*key == "shape" && !fields.shape) {
    TRY_ASSIGN(fields.shape, ParseShape(name, dict));
  } else {
    return Malformed(name, "an unknown or repeated header key");
  }
  return {};
}

Result<DictFields> ParseDict(std::string_view name, std::string_view text) {
  DictReader dict(text);
  DictFields fields;
  if (!dict.Accept("{")) return Malformed(name, "header is not a dictionary");
  while (!dict.Accept("}")) {
    TRY(ParseField(name, dict, fields));
    if (!dict.Accept(",")) {
      if (dict.Accept("}")) break;
      return Malformed(name, "header is not a dictionary");
    }
  }
  if (!dict.AtEnd()) return Malformed(name, "header does not end in spaces and a newline");
  if (!fields.dtype || !fields.fortran_order || !fields.shape) {
    return Malformed(name, "header lacks descr, fortran_order or shape");
  }
  return fields;
}

/// The dictionary's text and where it ends.
Result<std::string_view> FindDict(Bytes prefix, std::string_view name, uint64_t& data_offset) {
  ByteReader reader(prefix, name);
  const auto magic = reader.Take(kMagic.size());
  const auto as_text = [](Bytes bytes) {
    return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  if (!magic.ok() || as_text(*magic) != kMagic) {
    return Malformed(name, "it does not start with \\x93NUMPY");
  }
  const auto major = reader.U8();
  const auto minor = reader.U8();
  if (!major.ok() || !minor.ok()) return Malformed(name, "cut short in the header");
  if (*major < 1 || *major > 3 || *minor != 0) {
    return Error{
        Code::kUnsupported,
        fmt::format("{}: .npy format version {}.{}: 1.0 to 3.0 are read", name, *major, *minor)};
  }
  uint64_t dict_bytes = 0;
  if (*major == 1) {
    const auto length = reader.U16();
    if (!length.ok()) return Malformed(name, "cut short in the header");
    dict_bytes = *length;
  } else {
    const auto length = reader.U32();
    if (!length.ok()) return Malformed(name, "cut short in the header");
    dict_bytes = *length;
  }
  if (dict_bytes + reader.position() > kNpyHeaderBytesMax) {
    return Malformed(name, fmt::format("a header of {} bytes", dict_bytes));
  }
  const auto dict = reader.Take(dict_bytes);
  if (!dict.ok()) return Malformed(name, "cut short in the header");
  data_offset = reader.position();
  return as_text(*dict);
}

}  // namespace

Result<NpyHeader> ParseNpyHeader(Bytes prefix, uint64_t file_bytes, std::string_view name) {
  NpyHeader header;
  TRY_ASSIGN(const std::string_view text, FindDict(prefix, name, header.data_offset));
  TRY_ASSIGN(const DictFields fields, ParseDict(name, text));
  header.dtype = *fields.dtype;
  header.shape = *fields.shape;
  const auto order_matters =
      std::ranges::count_if(header.shape.dims(), [](uint32_t dim) { return dim > 1; }) > 1;
  if (*fields.fortran_order && order_matters) {
    return Error{Code::kUnsupported,
                 fmt::format("{}: Fortran order: save numpy.ascontiguousarray(array)", name)};
  }
  const auto elements = header.shape.CheckedElements();
  const auto data_bytes = elements ? CheckedMul(*elements, DTypeBytes(header.dtype)) : std::nullopt;
  const auto whole = data_bytes ? CheckedAdd(*data_bytes, header.data_offset) : std::nullopt;
  if (!whole || *whole != file_bytes) {
    return Malformed(
        name,
        fmt::format("shape {} of {} {} {} bytes of file, it has {}", header.shape.ToString(),
                    DTypeName(header.dtype), whole && *whole < file_bytes ? "needs only" : "needs",
                    whole ? fmt::format("{}", *whole) : "over 2^64", file_bytes));
  }
  return header;
}

std::vector<std::byte> FormatNpyHeader(const Shape& shape) {
  std::string dims;
  for (const uint32_t dim : shape.dims()) {
    dims += fmt::format("{}{}", dims.empty() ? "" : ", ", dim);
  }
  if (shape.rank() == 1) dims += ",";
  std::string dict =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", dims);
  const size_t before = kMagic.size() + 2 + sizeof(uint16_t);
  dict.append(kAlignment - (before + dict.size() + 1) % kAlignment, ' ');
  dict += '\n';
  ByteWriter writer;
  writer.Raw(std::as_bytes(std::span(kMagic)));
  writer.U8(1);
  writer.U8(0);
  writer.U16(static_cast<uint16_t>(dict.size()));
  writer.Raw(std::as_bytes(std::span(dict)));
  return writer.Release();
}

}  // namespace coracle::vision
