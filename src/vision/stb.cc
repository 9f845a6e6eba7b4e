#include "vision/stb.h"

#include <algorithm>
#include <cstdlib>

namespace {

// Zeroed, so that no decoder can show what the memory held before.
void* Allocate(size_t bytes) {
  return bytes <= coracle::vision::kStbAllocationBytesMax ? std::calloc(bytes, 1) : nullptr;
}
void* Reallocate(void* old, size_t bytes) {
  return bytes <= coracle::vision::kStbAllocationBytesMax ? std::realloc(old, bytes) : nullptr;
}

}  // namespace

#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_FAILURE_USERMSG
#define STBI_MAX_DIMENSIONS (1 << 16)
#define STBI_MALLOC(bytes) Allocate(bytes)
#define STBI_REALLOC(old, bytes) Reallocate(old, bytes)
#define STBI_FREE(block) std::free(block)
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

namespace coracle::vision {
namespace {

/// What stb's callbacks see of the encoded bytes.
struct Stream {
  const StbRead* read;
  uint64_t position = 0;
  bool read_past_end = false;
};

int ReadStream(void* user, char* data, int size) {
  auto& stream = *static_cast<Stream*>(user);
  if (size <= 0) return 0;
  const std::span out(reinterpret_cast<std::byte*>(data), static_cast<size_t>(size));
  const size_t got = (*stream.read)(stream.position, out);
  stream.position += got;
  if (got == 0) stream.read_past_end = true;
  return static_cast<int>(got);
}

void SkipStream(void* user, int count) {
  auto& stream = *static_cast<Stream*>(user);
  if (count >= 0) {
    stream.position += static_cast<uint64_t>(count);
  } else {
    stream.position -= std::min(stream.position, static_cast<uint64_t>(-int64_t{count}));
  }
}

int AtEnd(void* user) { return static_cast<Stream*>(user)->read_past_end ? 1 : 0; }

constexpr stbi_io_callbacks kCallbacks = {ReadStream, SkipStream, AtEnd};

std::string_view Problem() {
  const char* reason = stbi_failure_reason();
  return reason != nullptr ? reason : "unknown";
}

void AppendBytes(void* context, void* data, int size) {
  auto& out = *static_cast<std::vector<std::byte>*>(context);
  const auto* first = static_cast<const std::byte*>(data);
  out.insert(out.end(), first, first + size);
}

}  // namespace

StbSize StbImageSize(const StbRead& read) {
  Stream stream{&read};
  int width = 0;
  int height = 0;
  int channels = 0;
  if (stbi_info_from_callbacks(&kCallbacks, &stream, &width, &height, &channels) == 0) {
    return {0, 0, Problem()};
  }
  return {static_cast<uint32_t>(width), static_cast<uint32_t>(height), {}};
}

StbDecoded StbDecode(const StbRead& read) {
  Stream stream{&read};
  int width = 0;
  int height = 0;
  int channels = 0;
  Image::Pixels pixels(
      stbi_load_from_callbacks(&kCallbacks, &stream, &width, &height, &channels, Image::kChannels));
  StbDecoded decoded;
  decoded.read_past_end = stream.read_past_end;
  if (pixels == nullptr) {
    decoded.problem = Problem();
  } else {
    decoded.image =
        Image(static_cast<uint32_t>(width), static_cast<uint32_t>(height), std::move(pixels));
  }
  return decoded;
}

std::vector<std::byte> StbEncodePng(const Image& image) {
  std::vector<std::byte> out;
  const int width = static_cast<int>(image.width());
  const int stride = width * static_cast<int>(Image::kChannels);
  if (stbi_write_png_to_func(AppendBytes, &out, width, static_cast<int>(image.height()),
                             Image::kChannels, image.pixels().data(), stride) == 0) {
    out.clear();
  }
  return out;
}

}  // namespace coracle::vision
