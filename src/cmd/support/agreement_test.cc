#include "cmd/support/agreement.h"

#include <gtest/gtest.h>

namespace coracle::cmd {
namespace {

Json Top(int index) {
  return {{"top", Json::array({{{"label", "x"}, {"index", index}, {"score", 0.5}}})}};
}

Json Found(int index, double score, std::vector<double> box) {
  return {{"index", index}, {"score", score}, {"box", std::move(box)}};
}

TEST(AnswerAgreement, CountsTopAnswersAndTexts) {
  AnswerAgreement agreement;
  agreement.Add(Top(3), Top(3));
  agreement.Add(Top(3), Top(4));
  agreement.Add({{"text", "boat"}}, {{"text", "boat"}});
  agreement.Add(Json::object(), Json::object());
  const Json json = agreement.ToJson();
  EXPECT_EQ(json["top1_agreement"], 0.5);
  EXPECT_EQ(json["text_agreement"], 1);
  EXPECT_FALSE(json.contains("detections"));
}

TEST(AnswerAgreement, MatchesDetectionsByClassAndOverlap) {
  AnswerAgreement agreement;
  const Json a = {
      {"detections", Json::array({Found(1, 0.9, {0, 0, 10, 10}), Found(1, 0.8, {50, 50, 10, 10}),
                                  Found(2, 0.7, {20, 0, 10, 10})})}};
  const Json b = {
      {"detections", Json::array({Found(1, 0.85, {1, 0, 10, 10}), Found(1, 0.6, {0, 1, 10, 12}),
                                  Found(3, 0.6, {20, 0, 10, 10})})}};
  agreement.Add(a, b);
  const Json found = agreement.ToJson()["detections"];
  EXPECT_EQ(found["matched"], 1);
  EXPECT_EQ(found["only_a"], 2);
  EXPECT_EQ(found["only_b"], 2);
  EXPECT_NEAR(found["largest_score_difference"].get<double>(), 0.05, 1e-9);
}

TEST(IntersectionOverUnion, OfBoxes) {
  const auto overlap = [](std::vector<double> a, std::vector<double> b) {
    return IntersectionOverUnion(Json(a), Json(b));
  };
  EXPECT_EQ(overlap({0, 0, 2, 2}, {0, 0, 2, 2}), 1);
  EXPECT_EQ(overlap({0, 0, 2, 2}, {2, 0, 2, 2}), 0);
  EXPECT_DOUBLE_EQ(overlap({0, 0, 2, 2}, {1, 0, 2, 2}), 1.0 / 3);
  EXPECT_EQ(overlap({0, 0, 0, 0}, {0, 0, 0, 0}), 0);
}

}  // namespace
}  // namespace coracle::cmd
