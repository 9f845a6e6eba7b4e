// How far the decoded answers of two models agree.
#pragma once

#include <cstdint>

#include "cmd/support/console.h"

namespace coracle::cmd {

/// Counts over any number of predictions. The answers are vision::Answer::ToJson()'s, the objects
/// of `coracle run`'s outputs.
class AnswerAgreement {
 public:
  /// One prediction's output of each model. An output without an answer (another one has it, or the
  /// model no decoder) counts for nothing.
  void Add(const Json& a, const Json& b);

  /// "top1_agreement" (a share), "text_agreement" (a share) and "detections" ({"matched", "only_a",
  /// "only_b", "largest_score_difference"}), each where there was such an answer.
  Json ToJson() const;
  /// The same, a line each.
  std::string ToText() const;

 private:
  struct Share {
    uint64_t agreeing = 0;
    uint64_t all = 0;
  };
  void AddDetections(const Json& a, const Json& b);

  Share top_;
  Share text_;
  bool detects_ = false;
  uint64_t matched_ = 0;
  uint64_t only_a_ = 0;
  uint64_t only_b_ = 0;
  double largest_score_difference_ = 0;
};

/// Overlap of two boxes [x, y, width, height], over what either covers.
double IntersectionOverUnion(const Json& a, const Json& b);

}  // namespace coracle::cmd
