// The two calls into the stb libraries; stb.cc alone compiles them.
//
// Trust: they parse what a user gave. Formats are cut down to JPEG, PNG and BMP, no single
// allocation exceeds kStbAllocationBytesMax, and image_fuzz drives them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "vision/image.h"

namespace coracle::vision {

/// Enough for the filtered rows of the largest RGBA PNG with 16 bits a channel.
inline constexpr size_t kStbAllocationBytesMax = kImagePixelsMax * 8 + (size_t{1} << 20);

/// Where encoded bytes come from: fills `out`, returns how many bytes (0: no more).
using StbRead = std::function<size_t(uint64_t offset, std::span<std::byte> out)>;

struct StbDecoded {
  Image image;                 ///< no pixels: failed
  std::string_view problem;    ///< static text: why it failed
  bool read_past_end = false;  ///< the decoder wanted bytes after the last
};

struct StbSize {
  uint32_t width = 0;  ///< 0: not readable
  uint32_t height = 0;
  std::string_view problem;
};

StbSize StbImageSize(const StbRead& read);
StbDecoded StbDecode(const StbRead& read);
/// Empty if memory ran out.
std::vector<std::byte> StbEncodePng(const Image& image);

}  // namespace coracle::vision
