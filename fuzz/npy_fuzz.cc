// .npy headers: no input makes the parser misbehave, and what it accepts survives a round trip.
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "vision/npy_header.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace coracle;
  using namespace coracle::vision;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto header = ParseNpyHeader(bytes, size, "fuzz.npy");
  if (!header.ok()) return 0;
  const uint64_t elements = header->shape.Elements();
  CORACLE_CHECK(header->data_offset + elements * DTypeBytes(header->dtype) == size);

  const auto rewritten = FormatNpyHeader(header->shape);
  const auto again =
      ParseNpyHeader(rewritten, rewritten.size() + elements * sizeof(float), "fuzz.npy");
  CORACLE_CHECK(again.ok());
  CORACLE_CHECK(again->shape == header->shape && again->dtype == DType::kFloat32);
  CORACLE_CHECK(again->data_offset == rewritten.size());
  return 0;
}
