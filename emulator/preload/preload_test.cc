// The library as a whole: programs of each kind under it (programs/), and what is around them.

#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <tuple>

#include "emulator/preload/test_run.h"

namespace coracle::epc {
namespace {

constexpr uint64_t kMiB = 1 << 20;

std::string Program(const std::string& name) {
  return std::string(CORACLE_EPC_PROGRAMS) + "/epc_program_" + name;
}

/// Tests that need userfaultfd say so where the kernel refuses it.
class Preload : public testing::Test {
 protected:
  void SetUp() override {
    TestRun run(kUnlimited);
    run.Start({"/bin/true"});
    const int code = run.Wait();
    if (run.record().state == RunState::kRefused) GTEST_SKIP() << run.record().complaint;
    ASSERT_EQ(code, 0);
    ASSERT_EQ(run.record().state, RunState::kInside);
  }
};

/// Program, limit in MiB (0: unlimited).
using ProgramLimit = std::tuple<const char*, uint64_t>;
class PreloadPrograms : public Preload, public testing::WithParamInterface<ProgramLimit> {};

TEST_P(PreloadPrograms, FindTheirOwnResultsRight) {
  const auto [name, mib] = GetParam();
  TestRun run(mib == 0 ? kUnlimited : mib * kMiB);
  run.Start({Program(name)});
  EXPECT_EQ(run.Wait(), 0);
  const RunRecord& record = run.record();
  EXPECT_EQ(record.state, RunState::kInside);
  EXPECT_GT(record.system_calls, 0U);
  if (mib == 0) {
    EXPECT_EQ(record.loads, 0U);
    return;
  }
  EXPECT_GT(record.loads, 0U);
  EXPECT_GT(record.peak_wanted_bytes, record.limit_bytes);
  EXPECT_LE(record.resident_peak_bytes, record.limit_bytes);
}

INSTANTIATE_TEST_SUITE_P(All, PreloadPrograms,
                         testing::Combine(testing::Values("buffers", "memory", "processes",
                                                          "signals", "threads"),
                                          testing::Values(2, 8, 0)),
                         [](const testing::TestParamInfo<ProgramLimit>& info) {
                           return std::string(std::get<0>(info.param)) + "_" +
                                  std::to_string(std::get<1>(info.param));
                         });

TEST_F(Preload, TheNextProgramOfAProcessRunsInsideToo) {
  TestRun run(8 * kMiB);
  run.Start({Program("processes"), "exec"});
  EXPECT_EQ(run.Wait(), 9);
  EXPECT_EQ(run.record().state, RunState::kInside);
  EXPECT_EQ(run.record().children, 0U);
}

TEST_F(Preload, ChildrenAreCountedAndRunOutside) {
  TestRun run(8 * kMiB);
  run.Start({"/bin/sh", "-c", "/bin/true; /bin/true; (exit 4)"});
  EXPECT_EQ(run.Wait(), 4);
  EXPECT_GE(run.record().children, 2U);
}

TEST_F(Preload, AProcessThatIsNotMeantStaysOutside) {
  TestRun run(8 * kMiB);
  run.Start({Program("memory")}, TestRun::For::kAnotherProcess);
  EXPECT_EQ(run.Wait(), 0);
  EXPECT_EQ(run.record().state, RunState::kStarting);
  EXPECT_EQ(run.record().system_calls, 0U);
}

TEST_F(Preload, ARecordOfAnotherVersionIsRefused) {
  TestRun run(8 * kMiB);
  run.record().record_bytes -= 8;
  run.Start({"/bin/true"});
  EXPECT_EQ(run.Wait(), 125);
}

TEST_F(Preload, ATooSmallLimitIsRefusedWithALine) {
  TestRun run(kPageBytes);
  run.Start({"/bin/true"});
  EXPECT_EQ(run.Wait(), 125);
  EXPECT_EQ(run.record().state, RunState::kRefused);
  EXPECT_NE(std::string(run.record().complaint), "");
}

TEST_F(Preload, MarksAreNoted) {
  TestRun run(8 * kMiB);
  run.Start({Program("memory")});
  EXPECT_EQ(run.Wait(), 0);
  const RunRecord& record = run.record();
  ASSERT_EQ(record.marks_count, 2U);
  EXPECT_EQ(record.marks[0].label, 1U);
  EXPECT_EQ(record.marks[1].label, 2U);
  EXPECT_GT(record.marks[1].loads, record.marks[0].loads);
  EXPECT_GT(record.marks[1].nanoseconds, record.marks[0].nanoseconds);
}

template <typename Condition>
bool WaitFor(Condition condition) {
  for (int i = 0; i < 2000 && !condition(); ++i) usleep(1000);
  return condition();
}

TEST_F(Preload, TheRecordOutlivesAKilledProgram) {
  TestRun run(8 * kMiB);
  run.Start({"/bin/sleep", "100"});
  EXPECT_TRUE(WaitFor([&] { return run.record().state == RunState::kInside; }));
  run.Kill(SIGKILL);
  EXPECT_EQ(run.Wait(), 128 + SIGKILL);
  EXPECT_GT(run.record().resident_peak_bytes, 0U);
}

TEST_F(Preload, OrdersOfASharedEpcAreCarriedOut) {
  TestRun run(8 * kMiB);
  std::snprintf(run.record().share_name, sizeof run.record().share_name, "test");
  run.Start({"/bin/sleep", "100"});
  ASSERT_TRUE(WaitFor([&] { return run.record().state == RunState::kInside; }));
  RunRecord& record = run.record();
  record.ordered_limit_bytes = 4 * kMiB;
  record.order = 1;
  syscall(SYS_futex, &record.order, FUTEX_WAKE, 1);
  EXPECT_TRUE(WaitFor([&] { return record.order_done == 1; }));
  EXPECT_EQ(record.kept_bytes, 4 * kMiB);
  EXPECT_EQ(record.threads_peak, 1U);
}

/// What the dynamic loader must find elsewhere, one a line, as nm(1) prints it.
std::string Imports() {
  std::FILE* const pipe = popen("nm -D --undefined-only " CORACLE_LIBEPCRUN, "r");
  std::string text;
  char line[256];
  while (std::fgets(line, sizeof line, pipe) != nullptr) text += line;
  return pclose(pipe) == 0 ? text : "nm failed";
}

TEST(PreloadLibrary, ImportsNothingThatItMustHave) {
  const std::string imports = Imports();
  for (size_t at = 0; at < imports.size();) {
    const size_t end = imports.find('\n', at);
    const std::string line = imports.substr(at, end - at);
    // Weak symbols of the compiler's own start files may be absent.
    EXPECT_NE(line.find(" w "), std::string::npos) << line;
    at = end + 1;
  }
}

TEST(PreloadLibrary, NamesNoOtherLibrary) {
  EXPECT_NE(std::system("readelf -d " CORACLE_LIBEPCRUN " | grep -q NEEDED"), 0);
}

}  // namespace
}  // namespace coracle::epc
