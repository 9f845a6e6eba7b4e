#include "cmd/support/agreement.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace coracle::cmd {
namespace {

/// Boxes of one class that overlap so much are the same detection.
constexpr double kSameBox = 0.5;

double ShareOf(uint64_t part, uint64_t all) {
  return static_cast<double>(part) / static_cast<double>(all);
}

}  // namespace

double IntersectionOverUnion(const Json& a, const Json& b) {
  double overlap = 1;
  for (size_t axis = 0; axis < 2; ++axis) {
    const double begin = std::max(a[axis].get<double>(), b[axis].get<double>());
    const double end = std::min(a[axis].get<double>() + a[axis + 2].get<double>(),
                                b[axis].get<double>() + b[axis + 2].get<double>());
    overlap *= std::max(0.0, end - begin);
  }
  const auto area = [](const Json& box) { return box[2].get<double>() * box[3].get<double>(); };
  const double all = area(a) + area(b) - overlap;
  return all > 0 ? overlap / all : 0;
}

void AnswerAgreement::Add(const Json& a, const Json& b) {
  if (a.contains("top") && b.contains("top") && !a["top"].empty() && !b["top"].empty()) {
    ++top_.all;
    top_.agreeing += a["top"][0]["index"] == b["top"][0]["index"] ? 1 : 0;
  }
  if (a.contains("text") && b.contains("text")) {
    ++text_.all;
    text_.agreeing += a["text"] == b["text"] ? 1 : 0;
  }
  if (a.contains("detections") && b.contains("detections")) {
    AddDetections(a["detections"], b["detections"]);
  }
}

/// Each detection of `a`, best first, takes the one of `b` that overlaps it most.
void AnswerAgreement::AddDetections(const Json& a, const Json& b) {
  detects_ = true;
  std::vector<bool> taken(b.size(), false);
  for (const Json& found : a) {
    size_t best = b.size();
    double best_overlap = kSameBox;
    for (size_t i = 0; i < b.size(); ++i) {
      if (taken[i] || b[i]["index"] != found["index"]) continue;
      const double overlap = IntersectionOverUnion(found["box"], b[i]["box"]);
      if (overlap < best_overlap) continue;
      best = i;
      best_overlap = overlap;
    }
    if (best == b.size()) {
      ++only_a_;
      continue;
    }
    taken[best] = true;
    ++matched_;
    const double difference = found["score"].get<double>() - b[best]["score"].get<double>();
    largest_score_difference_ = std::max(largest_score_difference_, std::abs(difference));
  }
  only_b_ += static_cast<uint64_t>(std::ranges::count(taken, false));
}

Json AnswerAgreement::ToJson() const {
  Json json = Json::object();
  if (top_.all > 0) json["top1_agreement"] = ShareOf(top_.agreeing, top_.all);
  if (text_.all > 0) json["text_agreement"] = ShareOf(text_.agreeing, text_.all);
  if (detects_) {
    json["detections"] = {{"matched", matched_},
                          {"only_a", only_a_},
                          {"only_b", only_b_},
                          {"largest_score_difference", largest_score_difference_}};
  }
  return json;
}

std::string AnswerAgreement::ToText() const {
  std::string text;
  const auto line = [&text](const char* what, const Share& share) {
    if (share.all == 0) return;
    text += fmt::format("the same {} in {} of {} ({:.1f} %)\n", what, share.agreeing, share.all,
                        100 * ShareOf(share.agreeing, share.all));
  };
  line("top 1", top_);
  line("text", text_);
  if (detects_) {
    text += fmt::format(
        "{} detections of both, {} of A alone, {} of B alone; scores differ by at most {:.4f}\n",
        matched_, only_a_, only_b_, largest_score_difference_);
  }
  return text;
}

}  // namespace coracle::cmd
