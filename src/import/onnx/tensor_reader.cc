#include "import/onnx/tensor_reader.h"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/checked.h"
#include "import/onnx/array.h"
#include "import/onnx/value.h"
#include "import/quoted.h"

namespace coracle::import {
namespace {

using onnx::TensorProto;

std::string What(const TensorProto& tensor) {
  return fmt::format("constant {}", Quoted(tensor.name()));
}

Error TensorError(const TensorProto& tensor, std::string_view what) {
  return Error{Code::kMalformed, fmt::format("{}: {}", What(tensor), what)};
}

ConstantPtr Wrap(const TensorProto& tensor, DType dtype, const Shape& shape, Bytes bytes,
                 std::shared_ptr<const void> owner) {
  graph::Constant constant;
  constant.name = tensor.name().substr(0, 1024);
  constant.dtype = dtype;
  constant.shape = shape;
  constant.bytes = bytes;
  constant.owner = std::move(owner);
  return std::make_shared<const graph::Constant>(std::move(constant));
}

ConstantPtr WidenBfloat16(const TensorProto& tensor, const Shape& shape, Bytes bytes) {
  std::vector<float> values(bytes.size() / 2);
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t half = 0;
    std::memcpy(&half, bytes.data() + 2 * i, 2);
    values[i] = std::bit_cast<float>(uint32_t{half} << 16);
  }
  return MakeFloatConstant(tensor.name().substr(0, 1024), shape, std::move(values));
}

template <typename T>
Bytes ViewOf(const google::protobuf::RepeatedField<T>& field) {
  return std::as_bytes(std::span(field.data(), static_cast<size_t>(field.size())));
}

/// Types narrower than 32 bits are stored one to an int32.
std::vector<std::byte> NarrowInt32(const TensorProto& tensor, uint32_t element_bytes) {
  std::vector<std::byte> bytes;
  for (const int32_t value : tensor.int32_data()) {
    std::byte raw[4];
    std::memcpy(raw, &value, 4);
    bytes.insert(bytes.end(), raw, raw + element_bytes);
  }
  return bytes;
}

/// The typed field that holds the elements of `dtype`, where its layout is already ours.
Bytes TypedView(const TensorProto& tensor, DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return ViewOf(tensor.float_data());
    case DType::kFloat64:
      return ViewOf(tensor.double_data());
    case DType::kInt64:
      return ViewOf(tensor.int64_data());
    case DType::kUint64:
      return ViewOf(tensor.uint64_data());
    case DType::kInt32:
      return ViewOf(tensor.int32_data());
    default:
      return {};
  }
}

/// uint32 travels in uint64_data.
std::vector<std::byte> NarrowUint64(const TensorProto& tensor) {
  std::vector<std::byte> bytes(static_cast<size_t>(tensor.uint64_data_size()) * 4);
  for (int i = 0; i < tensor.uint64_data_size(); ++i) {
    const auto value = static_cast<uint32_t>(tensor.uint64_data(i) & 0xFFFFFFFFU);
    std::memcpy(bytes.data() + static_cast<size_t>(i) * 4, &value, 4);
  }
  return bytes;
}

Result<uint64_t> ParseNumber(const TensorProto& tensor, const std::string& key,
                             const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return TensorError(tensor, fmt::format("external data: {} {} is no number", key, Quoted(text)));
  }
  return value;
}

/// Where an external tensor says that its bytes are.
struct ExternalPlace {
  std::string location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
};

Result<ExternalPlace> ReadPlace(const TensorProto& tensor) {
  ExternalPlace place;
  for (const onnx::StringStringEntryProto& entry : tensor.external_data()) {
    if (entry.key() == "location") place.location = entry.value();
    if (entry.key() == "offset") {
      TRY_ASSIGN(place.offset, ParseNumber(tensor, "offset", entry.value()));
    }
    if (entry.key() == "length") {
      TRY_ASSIGN(place.length, ParseNumber(tensor, "length", entry.value()));
    }
  }
  if (place.location.empty()) return TensorError(tensor, "external data without a location");
  return place;
}

}  // namespace

Result<DType> DTypeOfOnnx(int32_t data_type, std::string_view what) {
  switch (data_type) {
    case TensorProto::FLOAT:
    case TensorProto::BFLOAT16:
      return DType::kFloat32;
    case TensorProto::FLOAT16:
      return DType::kFloat16;
    case TensorProto::DOUBLE:
      return DType::kFloat64;
    case TensorProto::INT8:
      return DType::kInt8;
    case TensorProto::UINT8:
      return DType::kUint8;
    case TensorProto::INT16:
      return DType::kInt16;
    case TensorProto::UINT16:
      return DType::kUint16;
    case TensorProto::INT32:
      return DType::kInt32;
    case TensorProto::UINT32:
      return DType::kUint32;
    case TensorProto::INT64:
      return DType::kInt64;
    case TensorProto::UINT64:
      return DType::kUint64;
    case TensorProto::BOOL:
      return DType::kBool;
    default:
      break;
  }
  const bool known = TensorProto::DataType_IsValid(data_type);
  const std::string name =
      known ? TensorProto::DataType_Name(data_type) : std::to_string(data_type);
  return Error{Code::kUnsupported, fmt::format("{}: element type {} is not supported", what, name)};
}

Result<std::shared_ptr<const MappedFile>> TensorReader::OpenExternal(const std::string& location) {
  const auto known = external_files_.find(location);
  if (known != external_files_.end()) return known->second;
  const std::filesystem::path relative(location);
  bool escapes = relative.is_absolute() || location.find('\0') != std::string::npos;
  for (const std::filesystem::path& part : relative) escapes = escapes || part == "..";
  std::error_code error;
  const auto base = std::filesystem::weakly_canonical(directory_, error);
  const auto target = std::filesystem::weakly_canonical(base / relative, error);
  // A link inside of the directory must not lead out of it either.
  const auto from_base = target.lexically_relative(base);
  escapes = escapes || error || from_base.empty() || *from_base.begin() == "..";
  if (escapes || directory_.empty()) {
    return Error{
        Code::kUnsupported,
        fmt::format("external data file {} is outside of the model's directory", Quoted(location))};
  }
  if (external_files_.size() >= kExternalFilesMax) {
    return Error{Code::kUnsupported,
                 fmt::format("more than {} external data files", kExternalFilesMax)};
  }
  TRY_ASSIGN(auto file, MappedFile::Open(target.string()));
  external_files_[location] = file;
  return file;
}

Result<Bytes> TensorReader::ExternalBytes(const TensorProto& tensor, uint64_t expected,
                                          std::shared_ptr<const void>& owner) {
  TRY_ASSIGN(const ExternalPlace place, ReadPlace(tensor));
  if (place.length.value_or(expected) != expected) {
    return TensorError(tensor, fmt::format("{} bytes of external data, its dimensions need {}",
                                           *place.length, expected));
  }
  Result<std::shared_ptr<const MappedFile>> file = OpenExternal(place.location);
  if (!file.ok()) {
    return Error{file.error().code, fmt::format("{}: {}", What(tensor), file.error().message)};
  }
  const uint64_t file_bytes = (*file)->bytes().size();
  if (place.offset > file_bytes || expected > file_bytes - place.offset) {
    return TensorError(tensor,
                       fmt::format("external data file {} is too short: {} bytes, needs {} "
                                   "at offset {}",
                                   Quoted(place.location), file_bytes, expected, place.offset));
  }
  owner = *file;
  return (*file)->bytes().subspan(place.offset, expected);
}

Result<ConstantPtr> TensorReader::Read(const TensorProto& tensor) {
  TRY_ASSIGN(const DType dtype, DTypeOfOnnx(tensor.data_type(), What(tensor)));
  const std::vector<int64_t> dims(tensor.dims().begin(), tensor.dims().end());
  TRY_ASSIGN(const Shape shape, ToShape(dims, What(tensor)));
  const bool bfloat16 = tensor.data_type() == TensorProto::BFLOAT16;
  const uint32_t element_bytes = bfloat16 ? 2 : DTypeBytes(dtype);
  const std::optional<uint64_t> elements = shape.CheckedElements();
  const auto expected = elements ? CheckedMul(*elements, element_bytes) : std::nullopt;
  if (!expected) return TensorError(tensor, "dimensions overflow: " + shape.ToString());

  Bytes bytes;
  std::shared_ptr<const void> owner = message_;
  if (tensor.data_location() == TensorProto::EXTERNAL) {
    TRY_ASSIGN(bytes, ExternalBytes(tensor, *expected, owner));
  } else if (tensor.has_raw_data()) {
    bytes = std::as_bytes(std::span(tensor.raw_data().data(), tensor.raw_data().size()));
  } else if (element_bytes < 4 || dtype == DType::kUint32) {
    auto narrowed = std::make_shared<const std::vector<std::byte>>(
        dtype == DType::kUint32 ? NarrowUint64(tensor) : NarrowInt32(tensor, element_bytes));
    bytes = Bytes(*narrowed);
    owner = narrowed;
  } else {
    bytes = TypedView(tensor, dtype);
  }
  if (bytes.size() != *expected) {
    return TensorError(tensor, fmt::format("{} bytes of data, but {} of {} need {}", bytes.size(),
                                           shape.ToString(), DTypeName(dtype), *expected));
  }
  if (bfloat16) return WidenBfloat16(tensor, shape, bytes);
  if (std::bit_cast<uintptr_t>(bytes.data()) % element_bytes != 0) {
    ConstantPtr copy = StoreBytes(dtype, shape, std::vector(bytes.begin(), bytes.end()));
    return copy;
  }
  return Wrap(tensor, dtype, shape, bytes, std::move(owner));
}

}  // namespace coracle::import
