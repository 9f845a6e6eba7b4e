// Image: 8-bit RGB pixels; JPEG, PNG and BMP in, PNG out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace coracle::vision {

/// Larger images are refused before a pixel is decoded.
inline constexpr uint64_t kImagePixelsMax = uint64_t{64} << 20;
inline constexpr uint64_t kImageFileBytesMax = uint64_t{256} << 20;

/// Rows of R,G,B bytes, top row first. Moved, never copied by accident (Clone copies).
class Image {
 public:
  static constexpr uint32_t kChannels = 3;
  struct Free {
    void operator()(uint8_t* pixels) const { std::free(pixels); }  // NOLINT: the decoder's malloc
  };
  using Pixels = std::unique_ptr<uint8_t[], Free>;

  Image() = default;
  /// Takes `pixels` of width * height * 3 bytes from malloc.
  Image(uint32_t width, uint32_t height, Pixels pixels)
      : width_(width), height_(height), pixels_(std::move(pixels)) {}
  /// Black. Requires: 0 < width * height <= kImagePixelsMax.
  static Image Blank(uint32_t width, uint32_t height);
  Image Clone() const;

  uint32_t width() const { return width_; }
  uint32_t height() const { return height_; }
  std::span<const uint8_t> pixels() const { return {pixels_.get(), Bytes()}; }
  std::span<uint8_t> pixels() { return {pixels_.get(), Bytes()}; }
  /// The first of the three bytes of pixel (x, y). Requires: inside.
  const uint8_t* At(uint32_t x, uint32_t y) const { return pixels_.get() + Offset(x, y); }
  uint8_t* At(uint32_t x, uint32_t y) { return pixels_.get() + Offset(x, y); }

 private:
  size_t Bytes() const { return size_t{width_} * height_ * kChannels; }
  size_t Offset(uint32_t x, uint32_t y) const { return (size_t{y} * width_ + x) * kChannels; }

  uint32_t width_ = 0;
  uint32_t height_ = 0;
  Pixels pixels_;
};

/// Whether a file's name ends like an image that LoadImage reads (.jpg .jpeg .png .bmp, any case).
bool HasImageName(std::string_view path);

/// Decodes a JPEG, PNG or BMP file whatever its name says. Grey becomes RGB, 16 bits become 8,
/// transparency is dropped, the EXIF orientation is ignored (as the usual training code does). The
/// file is read through a small buffer; memory is the pixels and the decoder's own planes.
/// Errors: as InputFile::Open; kMalformed (damaged or cut short); kUnsupported (another format, or
/// more pixels than kImagePixelsMax).
Result<Image> LoadImage(const std::string& path);
/// The same of bytes in memory; `name` is for messages.
Result<Image> DecodeImage(Bytes bytes, std::string_view name,
                          uint64_t pixels_max = kImagePixelsMax);

/// The image as a PNG file's bytes. Errors: kInternal.
Result<std::vector<std::byte>> EncodePng(const Image& image);
/// Writes a PNG that appears whole or not at all. Errors: as OutputFile.
Status WritePng(const Image& image, const std::string& path);

}  // namespace coracle::vision
