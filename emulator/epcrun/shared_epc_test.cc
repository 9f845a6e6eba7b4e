#include "emulator/epcrun/shared_epc.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include "emulator/epcrun/process_birth.h"

namespace coracle::epc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint64_t kMiB = uint64_t{1} << 20;

std::string OwnName() { return fmt::format("test-{}", getpid()); }

/// A process that stands for a program, and its record. Its pages are only numbers: it "evicts"
/// when told to, by a thread that answers as preload/shared_epc.h does.
class Member {
 public:
  Member() : record_(std::make_unique<RunRecord>()), pid_(fork()) {
    if (pid_ == 0) {
      for (;;) pause();
    }
  }
  ~Member() {
    Die();
    share_.reset();
  }
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  Status Join(uint64_t size_bytes, uint64_t quota_bytes) {
    SharedEpc::Settings settings;
    settings.name = OwnName();
    settings.size_bytes = size_bytes;
    settings.quota_bytes = quota_bytes;
    settings.pid = pid_;
    settings.program = "member";
    settings.wait_ms = 500;
    TRY_ASSIGN(share_, SharedEpc::Join(settings, *record_));
    record_->resident_bytes = record_->limit_bytes;
    return {};
  }
  /// What its epcrun and its helper thread do every few milliseconds.
  void Tick() {
    share_->Tick(*record_);
    if (record_->order == record_->order_done) return;
    const uint64_t kept = std::max<uint64_t>(record_->ordered_limit_bytes, pinned_bytes_);
    record_->resident_bytes = kept;
    record_->kept_bytes = kept;
    record_->order_done = record_->order.load();
  }
  void Pin(uint64_t bytes) { pinned_bytes_ = bytes; }
  void Die() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
    record_->resident_bytes = 0;
  }
  uint64_t resident_bytes() const { return record_->resident_bytes; }

 private:
  std::unique_ptr<RunRecord> record_;
  pid_t pid_;
  uint64_t pinned_bytes_ = 0;
  std::unique_ptr<SharedEpc> share_;
};

/// Lets `members` tick while somebody else joins.
class Ticking {
 public:
  explicit Ticking(std::vector<Member*> members)
      : thread_([this, members = std::move(members)] {
          while (!stop_) {
            for (Member* const member : members) member->Tick();
            usleep(1000);
          }
        }) {}
  ~Ticking() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST(PartsTest, FixedPartsFirstThenTheRestInEqualParts) {
  const std::vector<uint64_t> quotas = {0, 4 * kMiB, 0, 0};
  EXPECT_THAT(PartsOf(10 * kMiB, quotas).value(),
              ElementsAre(2 * kMiB, 4 * kMiB, 2 * kMiB, 2 * kMiB));
  const std::vector<uint64_t> three = {0, 0, 0};
  EXPECT_THAT(PartsOf(4 * kMiB, three).value(), ElementsAre(1396736, 1396736, 1396736));
  const std::vector<uint64_t> full = {6 * kMiB, 4 * kMiB};
  EXPECT_TRUE(PartsOf(10 * kMiB, full).ok());
  const std::vector<uint64_t> too_many = {6 * kMiB, 4 * kMiB, 0};
  EXPECT_EQ(PartsOf(10 * kMiB, too_many).error().code, Code::kOutOfBudget);
  const std::vector<uint64_t> too_much = {6 * kMiB, 5 * kMiB};
  EXPECT_EQ(PartsOf(10 * kMiB, too_much).error().code, Code::kOutOfBudget);
}

TEST(BirthTest, OfThisProcessAndOfNone) {
  EXPECT_NE(BirthOf(getpid()), 0u);
  EXPECT_EQ(BirthOf(-1), 0u);
}

TEST(SharedEpcTest, PartsAreGivenUpBeforeTheyAreTaken) {
  Member first;
  ASSERT_TRUE(first.Join(12 * kMiB, 0).ok());
  EXPECT_EQ(first.resident_bytes(), 12 * kMiB);
  Member second;
  {
    const Ticking ticking({&first});
    ASSERT_TRUE(second.Join(12 * kMiB, 0).ok());
    EXPECT_EQ(second.resident_bytes(), 6 * kMiB);
    EXPECT_EQ(first.resident_bytes(), 6 * kMiB);
  }
  const Result<ShareView> view = ViewShare(OwnName());
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->members.size(), 2u);
  // The other's part comes back when it has died, even if it could not say so.
  second.Die();
  for (int i = 0; i < 3; ++i) first.Tick();
  EXPECT_EQ(first.resident_bytes(), 12 * kMiB);
}

TEST(SharedEpcTest, QuotasAreKeptAndWhatDoesNotFitIsRefused) {
  Member fixed;
  ASSERT_TRUE(fixed.Join(12 * kMiB, 8 * kMiB).ok());
  Member elastic;
  ASSERT_TRUE(elastic.Join(12 * kMiB, 0).ok());
  EXPECT_EQ(elastic.resident_bytes(), 4 * kMiB);
  Member late;
  const Status no_room = late.Join(12 * kMiB, 4 * kMiB);
  ASSERT_FALSE(no_room.ok());
  EXPECT_EQ(no_room.error().code, Code::kOutOfBudget);
  EXPECT_THAT(no_room.error().message, HasSubstr("3 runs in 12 MiB: 12 MiB are reserved"));
  const Status other_size = late.Join(16 * kMiB, 0);
  ASSERT_FALSE(other_size.ok());
  EXPECT_EQ(other_size.error().code, Code::kInvalidArgument);
  EXPECT_THAT(other_size.error().message, HasSubstr("give --size 12 MiB"));
}

TEST(SharedEpcTest, PagesThatCannotGoAreNotGivenAway) {
  Member first;
  ASSERT_TRUE(first.Join(12 * kMiB, 0).ok());
  first.Pin(7 * kMiB);
  Member second;
  const Ticking ticking({&first});
  const Status late = second.Join(12 * kMiB, 0);  // waits for 6 MiB of which 5 come
  ASSERT_FALSE(late.ok());
  EXPECT_THAT(late.error().message, HasSubstr("did not give up 1 MiB"));
}

TEST(SharedEpcTest, TheLastRunRemovesTheTable) {
  {
    Member only;
    ASSERT_TRUE(only.Join(12 * kMiB, 0).ok());
  }
  EXPECT_FALSE(ViewShare(OwnName()).ok());
  // So another size may be shared under the same name.
  Member next;
  EXPECT_TRUE(next.Join(16 * kMiB, 0).ok());
}

}  // namespace
}  // namespace coracle::epc
