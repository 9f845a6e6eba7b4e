// WeightsReader: a Darknet .weights file, front to back. Layout (parser.c, load_weights_upto):
// int32 major, minor, revision; images seen as int64 (version 0.2 and later) or int32; then float32
// values of each layer in turn.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "import/graph_builder.h"

namespace coracle::import {

/// How the weights of connected layers lie: some old files hold them transposed.
enum class ConnectedOrder : uint8_t { kOutputsByInputs, kInputsByOutputs };

class WeightsReader {
 public:
  /// Errors: kMalformed for a file that is shorter than its header, or of a version that does not
  /// exist.
  static Result<WeightsReader> Open(Bytes file, std::shared_ptr<const void> owner);
  /// Only counts what would be read: gives empty vectors and null weights.
  static WeightsReader CountOnly();

  ConnectedOrder connected_order() const { return connected_order_; }
  /// The next values, copied. Errors: kMalformed if the file ends before, naming `layer`.
  Result<std::vector<float>> Vector(const std::string& layer, uint64_t count);
  /// The next values as a view. The file need not be aligned for it (its header is).
  Result<ConstantPtr> Weight(const std::string& layer, const Shape& shape);
  uint64_t header_bytes() const { return header_bytes_; }
  /// Bytes read so far, header not included.
  uint64_t consumed_bytes() const { return consumed_bytes_; }
  bool counts_only() const { return counts_only_; }

 private:
  WeightsReader(Bytes file, std::shared_ptr<const void> owner)
      : file_(file), owner_(std::move(owner)) {}
  Result<Bytes> Take(const std::string& layer, uint64_t count);

  Bytes file_;
  std::shared_ptr<const void> owner_;
  uint64_t header_bytes_ = 0;
  uint64_t consumed_bytes_ = 0;
  ConnectedOrder connected_order_ = ConnectedOrder::kOutputsByInputs;
  bool counts_only_ = false;
};

}  // namespace coracle::import
