// Any bytes as an ONNX model: refused with one line, or a graph that the verifier accepts.
#include <cstdint>

#include "base/check.h"
#include "graph/verify.h"
#include "import/onnx/onnx_import.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace coracle;
  const Bytes model = std::as_bytes(std::span(data, size));
  const Result<import::ImportedModel> result = import::ImportOnnxBytes(model, "", {});
  if (!result.ok()) {
    CORACLE_CHECK(!result.error().message.empty());
    CORACLE_CHECK(result.error().message.find('\n') == std::string::npos);
    return 0;
  }
  CORACLE_CHECK(graph::Verify(result->graph).ok());
  CORACLE_CHECK(!result->graph.outputs.empty());
  return 0;
}
