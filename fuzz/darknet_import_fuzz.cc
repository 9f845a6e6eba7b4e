// Any bytes as a Darknet network: the cfg up to the first zero byte, then the weights. Without
// weights, as many zeros as the cfg needs. Refused with one line, or a graph that verifies.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "graph/verify.h"
#include "import/darknet/darknet_import.h"

namespace {

constexpr uint64_t kZeroWeightsMax = uint64_t{4} << 20;

void Check(const coracle::Result<coracle::import::ImportedModel>& result) {
  if (!result.ok()) {
    CORACLE_CHECK(!result.error().message.empty());
    CORACLE_CHECK(result.error().message.find('\n') == std::string::npos);
    return;
  }
  CORACLE_CHECK(coracle::graph::Verify(result->graph).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace coracle;
  const uint8_t* end = std::find(data, data + size, uint8_t{0});
  const std::string cfg(data, end);
  if (end != data + size) {
    const auto weights = std::make_shared<std::vector<uint8_t>>(end + 1, data + size);
    Check(import::ImportDarknetBytes(cfg, std::as_bytes(std::span(*weights)), weights));
    return 0;
  }
  const Result<uint64_t> bytes = import::DarknetWeightsBytes(cfg);
  if (!bytes.ok() || *bytes > kZeroWeightsMax) return 0;
  const auto weights = std::make_shared<std::vector<uint8_t>>(20 + *bytes);
  (*weights)[4] = 2;  // version 0.2
  Check(import::ImportDarknetBytes(cfg, std::as_bytes(std::span(*weights)), weights));
  return 0;
}
