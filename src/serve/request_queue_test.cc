#include "serve/request_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace coracle::serve {
namespace {

using ::testing::ElementsAre;

constexpr uint64_t kAging = 1000;

WaitingRequest Make(uint64_t id, Priority priority, uint64_t arrival, uint64_t deadline = 0) {
  return {RequestId{id}, priority, arrival, deadline};
}

std::vector<uint64_t> Taken(RequestQueue& queue, uint32_t count, uint64_t now) {
  std::vector<uint64_t> ids;
  for (const RequestId id : queue.Take(count, now)) ids.push_back(static_cast<uint64_t>(id));
  return ids;
}

TEST(RequestQueueTest, FirstComeFirstServedWithinAPriority) {
  RequestQueue queue(kAging);
  for (uint64_t id = 1; id <= 4; ++id) queue.Add(Make(id, Priority::kNormal, id));
  EXPECT_THAT(Taken(queue, 3, 10), ElementsAre(1, 2, 3));
  EXPECT_EQ(queue.count(), 1U);
}

TEST(RequestQueueTest, HigherPriorityFirst) {
  RequestQueue queue(kAging);
  queue.Add(Make(1, Priority::kLow, 0));
  queue.Add(Make(2, Priority::kNormal, 1));
  queue.Add(Make(3, Priority::kHigh, 2));
  EXPECT_EQ(queue.Level(2), 2U);
  EXPECT_THAT(Taken(queue, 3, 2), ElementsAre(3, 2, 1));
}

TEST(RequestQueueTest, EarlierDeadlineFirst) {
  RequestQueue queue(kAging);
  queue.Add(Make(1, Priority::kNormal, 0));
  queue.Add(Make(2, Priority::kNormal, 1, 900));
  queue.Add(Make(3, Priority::kNormal, 2, 500));
  EXPECT_THAT(Taken(queue, 3, 2), ElementsAre(3, 2, 1));
}

TEST(RequestQueueTest, ADeadlinePassesNobodyWhoCameOneAgingSpanBefore) {
  RequestQueue queue(kAging);
  queue.Add(Make(1, Priority::kNormal, 0));
  queue.Add(Make(2, Priority::kNormal, kAging, kAging + 1));
  EXPECT_THAT(Taken(queue, 2, kAging), ElementsAre(1, 2));
}

TEST(RequestQueueTest, AFlowThatIsNotServedGainsALevelForEachSpan) {
  RequestQueue queue(kAging);
  queue.Add(Make(1, Priority::kLow, 100));
  EXPECT_EQ(queue.Level(100), 0U);
  EXPECT_EQ(queue.Level(99 + kAging), 0U);
  EXPECT_EQ(queue.Level(100 + kAging), 1U);
  EXPECT_EQ(queue.Level(100 + 2 * kAging), kTopLevel);
  EXPECT_EQ(queue.Level(100 + 9 * kAging), kTopLevel);
}

TEST(RequestQueueTest, ServedFlowsFallBackToTheirOwnLevel) {
  RequestQueue queue(kAging);
  queue.Add(Make(1, Priority::kLow, 0));
  queue.Add(Make(2, Priority::kLow, 0));
  EXPECT_THAT(Taken(queue, 1, 3 * kAging), ElementsAre(1));
  EXPECT_EQ(queue.Level(3 * kAging), 0U);
}

TEST(RequestQueueTest, AmongEqualLevelsTheFlowLongestUnservedGoesFirst) {
  RequestQueue queue(kAging);
  queue.Add(Make(1, Priority::kLow, 0));
  for (uint64_t id = 2; id < 6; ++id) queue.Add(Make(id, Priority::kHigh, 1));
  EXPECT_THAT(Taken(queue, 1, kAging), ElementsAre(2));
  EXPECT_THAT(Taken(queue, 2, 2 * kAging), ElementsAre(1, 3));
}

TEST(RequestQueueTest, RemovedRequestsAreNotTaken) {
  RequestQueue queue(kAging);
  const WaitingRequest second = Make(2, Priority::kNormal, 1, 700);
  queue.Add(Make(1, Priority::kNormal, 0));
  queue.Add(second);
  queue.Remove(second);
  EXPECT_THAT(Taken(queue, 1, 2), ElementsAre(1));
  EXPECT_EQ(queue.count(), 0U);
}

}  // namespace
}  // namespace coracle::serve
