#include "vision/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "vision/input_file.h"
#include "vision/jpeg_tables.h"
#include "vision/output_file.h"
#include "vision/stb.h"

namespace coracle::vision {
namespace {

enum class Format { kJpeg, kPng, kBmp, kUnknown };

Format Sniff(std::span<const std::byte> head) {
  const auto starts = [head](std::string_view magic) {
    return head.size() >= magic.size() && std::memcmp(head.data(), magic.data(), magic.size()) == 0;
  };
  if (starts("\xff\xd8\xff")) return Format::kJpeg;
  if (starts("\x89PNG\r\n\x1a\n")) return Format::kPng;
  if (starts("BM")) return Format::kBmp;
  return Format::kUnknown;
}

Result<Image> Decode(const StbRead& read, uint64_t bytes, std::string_view name,
                     uint64_t pixels_max) {
  std::array<std::byte, 16> head{};
  const auto seen = std::span(head).first(std::min<uint64_t>(bytes, head.size()));
  if (read(0, seen) != seen.size() || Sniff(seen) == Format::kUnknown) {
    return Error{Code::kUnsupported, fmt::format("{} is not a JPEG, PNG or BMP image", name)};
  }
  if (Sniff(seen) == Format::kJpeg) TRY(CheckJpegTables(read, name));
  const StbSize size = StbImageSize(read);
  if (size.width == 0 || size.height == 0) {
    return Error{Code::kMalformed,
                 fmt::format("{} is a damaged image: {}", name,
                             size.problem.empty() ? "it has no pixels" : size.problem)};
  }
  if (uint64_t{size.width} * size.height > pixels_max) {
    return Error{Code::kUnsupported, fmt::format("{} is {}x{}: more than {} million pixels", name,
                                                 size.width, size.height, pixels_max / 1000000)};
  }
  StbDecoded decoded = StbDecode(read);
  // The decoder fills what is missing of a JPEG or BMP with grey: a cut file is refused instead.
  if (decoded.read_past_end) {
    return Error{Code::kMalformed, fmt::format("{} is a damaged image: it is cut short", name)};
  }
  if (decoded.image.width() == 0) {
    return Error{Code::kMalformed, fmt::format("{} is a damaged image: {}", name, decoded.problem)};
  }
  return std::move(decoded.image);
}

}  // namespace

Image Image::Blank(uint32_t width, uint32_t height) {
  const uint64_t count = uint64_t{width} * height;
  CORACLE_CHECK(count > 0 && count <= kImagePixelsMax);
  Pixels pixels(static_cast<uint8_t*>(std::calloc(count, kChannels)));
  CORACLE_CHECK(pixels != nullptr);
  return Image(width, height, std::move(pixels));
}

Image Image::Clone() const {
  Image copy = Blank(width_, height_);
  std::ranges::copy(pixels(), copy.pixels().begin());
  return copy;
}

bool HasImageName(std::string_view path) {
  const auto ends = [path](std::string_view suffix) {
    if (path.size() < suffix.size()) return false;
    const auto tail = path.substr(path.size() - suffix.size());
    return std::ranges::equal(tail, suffix, [](char a, char b) {
      return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
    });
  };
  return ends(".jpg") || ends(".jpeg") || ends(".png") || ends(".bmp");
}

Result<Image> LoadImage(const std::string& path) {
  TRY_ASSIGN(const InputFile file, InputFile::Open(path, kImageFileBytesMax));
  Status failed;
  const StbRead read = [&](uint64_t offset, std::span<std::byte> out) -> size_t {
    if (offset >= file.size()) return 0;
    const auto some = out.first(std::min<uint64_t>(out.size(), file.size() - offset));
    auto status = file.ReadAt(offset, some);
    if (!status.ok()) failed = std::move(status);
    return failed.ok() ? some.size() : 0;
  };
  auto image = Decode(read, file.size(), path, kImagePixelsMax);
  TRY(std::move(failed));
  return image;
}

Result<Image> DecodeImage(Bytes bytes, std::string_view name, uint64_t pixels_max) {
  const StbRead read = [bytes](uint64_t offset, std::span<std::byte> out) -> size_t {
    if (offset >= bytes.size()) return 0;
    const size_t count = std::min<uint64_t>(out.size(), bytes.size() - offset);
    std::ranges::copy(bytes.subspan(offset, count), out.begin());
    return count;
  };
  return Decode(read, bytes.size(), name, pixels_max);
}

Result<std::vector<std::byte>> EncodePng(const Image& image) {
  CORACLE_CHECK(image.width() > 0 && image.height() > 0);
  auto bytes = StbEncodePng(image);
  if (bytes.empty()) return Error{Code::kInternal, "PNG: the encoder ran out of memory"};
  return bytes;
}

Status WritePng(const Image& image, const std::string& path) {
  TRY_ASSIGN(OutputFile file, OutputFile::Create(path));
  TRY_ASSIGN(const auto bytes, EncodePng(image));
  TRY(file.Write(bytes));
  return file.Commit();
}

}  // namespace coracle::vision
