#include "cmd/characterize/measured.h"

#include <gtest/gtest.h>

namespace coracle::cmd {
namespace {

/// Two predictions, the second one marked twice.
Json TwoPredictions() {
  const auto mark = [](uint64_t label, uint64_t loads) {
    return Json{
        {"label", label}, {"loads", loads}, {"evictions", 10 * loads}, {"zero_fills", 100 + label}};
  };
  Json report = {{"loads", 90}, {"evictions", 900}, {"zero_fills", 200}};
  report["marks"] = {mark(0, 10), mark(1, 20), mark(2, 30), mark(3, 45), mark(2, 60), mark(3, 80)};
  return report;
}

TEST(CountsBetween, AreThoseOfAWholeRunWithoutMarks) {
  const auto counts = CountsBetween(TwoPredictions(), {}, {});
  ASSERT_TRUE(counts.ok());
  EXPECT_EQ(*counts, (Json{{"loads", 90}, {"evictions", 900}, {"first_touches", 200}}));
}

TEST(CountsBetween, ReachFromAMarkToTheEndOrFromTheStartToAMark) {
  EXPECT_EQ(CountsBetween(TwoPredictions(), 1, {})->at("loads"), 70);
  EXPECT_EQ(CountsBetween(TwoPredictions(), {}, 1)->at("loads"), 20);
}

TEST(CountsBetween, TakeTheFirstMarkAndTheNextAfterIt) {
  const auto counts = CountsBetween(TwoPredictions(), 2, 3);
  ASSERT_TRUE(counts.ok());
  EXPECT_EQ(*counts, (Json{{"loads", 15}, {"evictions", 150}, {"first_touches", 1}}));
  EXPECT_EQ(CountsBetween(TwoPredictions(), 3, 2)->at("loads"), 15);
  EXPECT_EQ(CountsBetween(TwoPredictions(), 2, 2)->at("loads"), 30);
}

TEST(CountsBetween, NeedBothMarks) {
  EXPECT_EQ(CountsBetween(TwoPredictions(), 4, {}).error().code, Code::kNotFound);
  EXPECT_EQ(CountsBetween(TwoPredictions(), 2, 1).error().code, Code::kNotFound);
  EXPECT_EQ(CountsBetween(Json{{"marks", Json::array()}}, {}, 0).error().message,
            "it made no mark 0 under epcrun");
}

}  // namespace
}  // namespace coracle::cmd
