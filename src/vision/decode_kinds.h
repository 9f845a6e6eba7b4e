// The decoders behind Decoder::Decode, one file each.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "vision/decode.h"

namespace coracle::vision {

/// Calls `body` with consecutive pieces of elements [first, first + count), in order.
void ForEachPiece(const OutputView& output, uint64_t first, uint64_t count,
                  const std::function<void(uint64_t first, std::span<const float>)>& body);

/// What softmax over some values needs, gathered in one pass: their maximum, sum, and sum of
/// exponentials. NaN values are left out.
class ScoreScale {
 public:
  void Add(std::span<const float> values);
  /// Whether the values were probabilities: >= 0 and summing to 1 within 1 %.
  bool SumsToOne() const;
  /// `value` itself, or its softmax.
  double Probability(float value, bool softmax) const;

 private:
  double greatest_ = -1e300;
  double least_ = 1e300;
  double sum_ = 0;
  double exponentials_ = 0;  ///< sum of exp(value - greatest_)
};

/// The label of class `index` of `classes`; its number where there are no labels.
std::string LabelOf(std::span<const std::string> labels, uint32_t classes, uint32_t index);

Result<TopAnswer> DecodeTop(const OutputView& output, std::span<const std::string> labels,
                            std::optional<bool> softmax, uint32_t count);
Result<TextAnswer> DecodeCtc(const OutputView& output, std::span<const std::string> labels,
                             std::optional<bool> softmax, uint32_t blank);
Result<HeatmapAnswer> DecodeHeatmap(const OutputView& output);

/// One head of a detector and the sizes that its anchors are relative to.
struct HeadView {
  const OutputView* output = nullptr;
  const Decoder::Head* head = nullptr;
  double anchor_width = 1;  ///< yolo: the network's input; region: the grid
  double anchor_height = 1;
};

/// Boxes centre-based and relative to the network's input, as darknet has them.
struct Candidate {
  double x = 0;
  double y = 0;
  double width = 0;
  double height = 0;
  double score = 0;
  uint32_t index = 0;  ///< class
};

/// Entries of one head with objectness * class probability > threshold (darknet's
/// get_yolo_detections). Errors: kInvalidArgument (shape).
Status CollectCandidates(const HeadView& view, double threshold, std::vector<Candidate>& out);
/// Keeps, for each class, the best of boxes that overlap by more than `overlap` (darknet's
/// do_nms_sort); best first.
void SuppressOverlaps(double overlap, std::vector<Candidate>& candidates);
double OverlapRatio(const Candidate& a, const Candidate& b);

}  // namespace coracle::vision
