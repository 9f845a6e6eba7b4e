#include "serve/choose_plan.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/check.h"

namespace coracle::serve {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// As a front of ResNet-50 may look on two cores.
const std::vector<PlanChoice> kFront = {
    {.batch = 1, .threads = 1, .bytes = 6 * kMiB, .predicted_ms = 60},
    {.batch = 1, .threads = 1, .bytes = 20 * kMiB, .predicted_ms = 46},
    {.batch = 1, .threads = 2, .bytes = 24 * kMiB, .predicted_ms = 26},
    {.batch = 4, .threads = 1, .bytes = 38 * kMiB, .predicted_ms = 150},
    {.batch = 8, .threads = 2, .bytes = 70 * kMiB, .predicted_ms = 150},
    {.batch = 8, .threads = 1, .bytes = 75 * kMiB, .predicted_ms = 280},
};

class Models {
 public:
  explicit Models(const std::vector<uint32_t>& waiting) {
    warm_.resize(waiting.size(), std::vector<uint32_t>(kFront.size(), 0));
    for (size_t i = 0; i < waiting.size(); ++i)
      demands_.push_back({kFront, warm_[i], waiting[i], LeastWorkMs(kFront)});
  }
  void Warm(size_t model, uint32_t choice) { warm_[model][choice] = 1; }
  const PlanChoice& Choose(uint64_t bytes, uint32_t cores) const {
    const auto choice = ChoosePlan(demands_, {bytes, bytes, cores, 16});
    CORACLE_CHECK(choice.has_value());
    return kFront[*choice];
  }
  std::optional<uint32_t> Try(const Room& room) const { return ChoosePlan(demands_, room); }

 private:
  std::vector<std::vector<uint32_t>> warm_;
  std::vector<Demand> demands_;
};

TEST(ChoosePlanTest, IdleMachineRunsTheFastestPlanForOne) {
  const PlanChoice& plan = Models({1}).Choose(200 * kMiB, 2);
  EXPECT_EQ(plan.batch, 1U);
  EXPECT_EQ(plan.threads, 2U);
}

TEST(ChoosePlanTest, TwoThatWaitRunBesideOneAnother) {
  const PlanChoice& plan = Models({2}).Choose(200 * kMiB, 2);
  EXPECT_EQ(plan.batch, 1U);
  EXPECT_EQ(plan.threads, 1U);
}

TEST(ChoosePlanTest, ManyThatWaitGoAsAConvoyOfTheBestThroughput) {
  // Two convoys of 4 on a core each are as fast as one of 8 on both, and sooner started.
  EXPECT_EQ(Models({8}).Choose(93 * kMiB, 2).batch, 4U);
  EXPECT_EQ(Models({8}).Choose(72 * kMiB, 2).batch, 8U);
}

TEST(ChoosePlanTest, OtherModelsGetRoomForTheirs) {
  EXPECT_EQ(Models({1}).Choose(60 * kMiB, 2).threads, 2U);
  EXPECT_EQ(Models({1, 1}).Choose(60 * kMiB, 2).threads, 1U);
  EXPECT_EQ(Models({1, 1}).Choose(13 * kMiB, 2).bytes, 6 * kMiB);
}

TEST(ChoosePlanTest, SmallestOfThoseAsGood) {
  const std::vector<PlanChoice> front = {
      {.batch = 1, .threads = 1, .bytes = 10 * kMiB, .predicted_ms = 41},
      {.batch = 1, .threads = 1, .bytes = 11 * kMiB, .predicted_ms = 40},
  };
  std::vector<uint32_t> warm = {0, 0};
  const std::vector<Demand> demands = {{front, warm, 1, LeastWorkMs(front)}};
  EXPECT_EQ(ChoosePlan(demands, {100 * kMiB, 100 * kMiB, 1, 1}), 0U);
  warm[1] = 1;
  EXPECT_EQ(ChoosePlan(demands, {100 * kMiB, 100 * kMiB, 1, 1}), 1U);
}

TEST(ChoosePlanTest, AStartThatDrivesOutOthersHasToPayAtOnce) {
  Models models({1});
  models.Warm(0, 1);
  const Room unused = {93 * kMiB, 70 * kMiB, 2, 16};
  EXPECT_EQ(models.Try(unused), 2U);
  const Room crowded = {93 * kMiB, 10 * kMiB, 2, 16};
  EXPECT_EQ(models.Try(crowded), 1U);
}

TEST(ChoosePlanTest, NothingIsTakenThatDoesNotFit) {
  const Models models({3});
  EXPECT_FALSE(models.Try({5 * kMiB, 5 * kMiB, 2, 16}).has_value());
  EXPECT_FALSE(models.Try({93 * kMiB, 93 * kMiB, 0, 16}).has_value());
  EXPECT_FALSE(models.Try({93 * kMiB, 93 * kMiB, 2, 0}).has_value());
  EXPECT_FALSE(models.Try({93 * kMiB, 93 * kMiB, 2, 16, 20}).has_value());
  EXPECT_EQ(models.Try({6 * kMiB, 6 * kMiB, 1, 1}), 0U);
}

}  // namespace
}  // namespace coracle::serve
