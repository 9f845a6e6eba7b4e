// Decoder: how output tensors become an answer. Its canonical JSON is sealed with the model.
//
//   {"kind":"topk"}            optional: "output" (a name; the first output by default),
//                              "softmax" (true: the output is logits, so apply softmax; false: it
//                              is probabilities already; absent: false where all are >= 0 and sum
//                              to 1 +- 1 %, else true)
//   {"kind":"ctc"}             optional: "output", "softmax" as above (each time step), "blank" (0)
//   {"kind":"yolo","net_width":416,"net_height":416,
//    "heads":[{"output":"..","classes":80,"anchors":[[10,14],..]}]}
//                              optional: "threshold" (.5), "nms" (.45); anchors in net pixels
//   {"kind":"region",...}      the same; anchors in cells of the head's grid
//   {"kind":"heatmap"}         optional: "output"
//
// yolo and region read heads 1,A*(5+classes),H,W after their activation: sigmoids of x, y,
// objectness, classes (region: softmax over classes) applied, as darknet's layers leave them.
// Labels of ctc: one per class but the blank, in order. Labels of the others: one per class; one
// more, of which the first is "background", is taken as labels shifted by one.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "tensor/shape.h"
#include "vision/answer.h"
#include "vision/preprocess.h"

namespace coracle::vision {

/// An output tensor of the prediction, read piece by piece.
class OutputView {
 public:
  virtual ~OutputView() = default;
  virtual std::string_view name() const = 0;
  virtual const Shape& shape() const = 0;
  /// Elements [first, first + values.size()) in row-major order of shape(). Requires: in range.
  virtual void Read(uint64_t first, std::span<float> values) const = 0;
};
using OutputViews = std::span<const OutputView* const>;

enum class DecodeKind : uint8_t { kTopK, kCtc, kYolo, kRegion, kHeatmap };

struct DecodeOptions {
  uint32_t top = 5;
  /// Where the input was an image; without it boxes are in pixels of the network's input.
  std::optional<Geometry> geometry;
};

class Decoder {
 public:
  /// Errors: kMalformed (not JSON), kInvalidArgument (a key, with what it takes).
  static Result<Decoder> Parse(std::string_view json);
  /// Canonical: Parse(ToJson()) is the same, and so is its ToJson().
  std::string ToJson() const;
  DecodeKind kind() const { return kind_; }

  /// Reads the outputs through buffers of a few KiB. Errors: kInvalidArgument (an output that the
  /// spec names is missing, or its shape does not fit; labels do not fit).
  Result<Answer> Decode(OutputViews outputs, std::span<const std::string> labels,
                        const DecodeOptions& options) const;

  struct Head {
    std::string output;
    uint32_t classes = 0;
    std::vector<std::pair<float, float>> anchors;  ///< width, height
  };

 private:
  friend struct DecoderJson;
  Decoder() = default;

  DecodeKind kind_ = DecodeKind::kTopK;
  std::string output_;  ///< empty: the first
  std::optional<bool> softmax_;
  uint32_t blank_ = 0;
  uint32_t net_width_ = 0;
  uint32_t net_height_ = 0;
  std::vector<Head> heads_;
  double threshold_ = 0.5;
  double nms_ = 0.45;
};

}  // namespace coracle::vision
