// JPEG, PNG and BMP: no input makes the decoder misbehave; pixels survive a PNG round trip.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "vision/image.h"

namespace {
constexpr uint64_t kPixelsMax = 1 << 18;  // larger ones only cost time
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace coracle;
  using namespace coracle::vision;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto image = DecodeImage(bytes, "fuzz", kPixelsMax);
  if (!image.ok()) return 0;
  CORACLE_CHECK(image->width() > 0 && image->height() > 0);
  const auto png = EncodePng(*image);
  CORACLE_CHECK(png.ok());
  const auto again = DecodeImage(*png, "fuzz.png");
  CORACLE_CHECK(again.ok() && again->width() == image->width());
  CORACLE_CHECK(std::ranges::equal(again->pixels(), image->pixels()));
  return 0;
}
