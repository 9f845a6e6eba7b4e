#include "import/darknet/weights_reader.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "base/checked.h"

namespace coracle::import {
namespace {

// Old trainers wrote versions above this with connected weights transposed (parser.c).
constexpr uint32_t kVersionTransposed = 1000;

}  // namespace

Result<WeightsReader> WeightsReader::Open(Bytes file, std::shared_ptr<const void> owner) {
  ByteReader header(file, "weights header");
  TRY_ASSIGN(const uint32_t major, header.U32());
  TRY_ASSIGN(const uint32_t minor, header.U32());
  TRY(header.U32());  // revision
  if (major > 2 * kVersionTransposed || minor > 2 * kVersionTransposed) {
    return Error{Code::kMalformed,
                 fmt::format("version {}.{} does not exist: not Darknet weights", major, minor)};
  }
  WeightsReader reader(file, std::move(owner));
  const bool current = major < kVersionTransposed && minor < kVersionTransposed;
  if (major * 10 + minor >= 2 && current) {
    TRY(header.U64());
  } else {
    TRY(header.U32());
  }
  if (major > kVersionTransposed || minor > kVersionTransposed) {
    reader.connected_order_ = ConnectedOrder::kInputsByOutputs;
  }
  reader.header_bytes_ = header.position();
  return reader;
}

WeightsReader WeightsReader::CountOnly() {
  WeightsReader reader({}, nullptr);
  reader.counts_only_ = true;
  return reader;
}

Result<Bytes> WeightsReader::Take(const std::string& layer, uint64_t count) {
  const std::optional<uint64_t> bytes = CheckedMul(count, sizeof(float));
  const auto total = bytes ? CheckedAdd(consumed_bytes_, *bytes) : std::nullopt;
  if (!total) return Error{Code::kUnsupported, layer + ": too many weights"};
  const uint64_t begin = consumed_bytes_;
  if (!counts_only_ && *total > file_.size() - header_bytes_) {
    return Error{Code::kMalformed,
                 fmt::format("{}: needs {} bytes of weights at {}, but the file has {}", layer,
                             *bytes, header_bytes_ + begin, file_.size())};
  }
  consumed_bytes_ = *total;
  if (counts_only_) return Bytes{};
  return file_.subspan(header_bytes_ + begin, *bytes);
}

Result<std::vector<float>> WeightsReader::Vector(const std::string& layer, uint64_t count) {
  TRY_ASSIGN(const Bytes bytes, Take(layer, count));
  std::vector<float> values(bytes.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

Result<ConstantPtr> WeightsReader::Weight(const std::string& layer, const Shape& shape) {
  const std::optional<uint64_t> elements = shape.CheckedElements();
  if (!elements) return Error{Code::kUnsupported, layer + ": too many weights"};
  TRY_ASSIGN(const Bytes bytes, Take(layer, *elements));
  if (counts_only_) return ConstantPtr{};
  if (std::bit_cast<uintptr_t>(bytes.data()) % alignof(float) != 0) {
    std::vector<float> values(*elements);
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return MakeFloatConstant(layer, shape, std::move(values));
  }
  graph::Constant constant;
  constant.name = layer;
  constant.shape = shape;
  constant.bytes = bytes;
  constant.owner = owner_;
  return std::make_shared<const graph::Constant>(std::move(constant));
}

}  // namespace coracle::import
