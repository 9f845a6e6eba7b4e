#include "runtime/workers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "host/posix/threads.h"

namespace coracle::runtime {
namespace {

struct Tally {
  std::atomic<uint32_t> calls{0};
  std::vector<std::atomic<uint32_t>> by_worker = std::vector<std::atomic<uint32_t>>(4);
  static void Count(void* self, uint32_t worker) {
    static_cast<Tally*>(self)->calls.fetch_add(1);
    static_cast<Tally*>(self)->by_worker[worker].fetch_add(1);
  }
};

TEST(WorkersTest, EachUsedWorkerRunsEachJobOnce) {
  host::PosixThreads threads;
  auto workers = Workers::Start(4, &threads);
  ASSERT_TRUE(workers.ok());
  Tally tally;
  for (int i = 0; i < 300; ++i)
    (*workers)->Run(1 + static_cast<uint32_t>(i) % 4, {&Tally::Count, &tally});
  EXPECT_EQ(tally.by_worker[0].load(), 300U);
  EXPECT_EQ(tally.by_worker[1].load(), 225U);
  EXPECT_EQ(tally.by_worker[2].load(), 150U);
  EXPECT_EQ(tally.by_worker[3].load(), 75U);
}

TEST(WorkersTest, OneWorkerNeedsNoThreads) {
  auto workers = Workers::Start(1, nullptr);
  ASSERT_TRUE(workers.ok());
  Tally tally;
  (*workers)->Run(1, {&Tally::Count, &tally});
  EXPECT_EQ(tally.calls.load(), 1U);
}

struct Phases {
  Workers* workers = nullptr;
  std::atomic<uint32_t> first{0};
  std::atomic<uint32_t> early{0};
  static void Run(void* context, uint32_t) {
    auto* const self = static_cast<Phases*>(context);
    for (uint32_t round = 1; round <= 50; ++round) {
      self->first.fetch_add(1);
      self->workers->Barrier(3);
      if (self->first.load() < 3 * round) self->early.fetch_add(1);
      self->workers->Barrier(3);
    }
  }
};

TEST(WorkersTest, NobodyPassesABarrierEarly) {
  host::PosixThreads threads;
  auto workers = Workers::Start(3, &threads);
  ASSERT_TRUE(workers.ok());
  Phases phases;
  phases.workers = workers->get();
  (*workers)->Run(3, {&Phases::Run, &phases});
  EXPECT_EQ(phases.first.load(), 150U);
  EXPECT_EQ(phases.early.load(), 0U);
}

}  // namespace
}  // namespace coracle::runtime
