// Time, entropy, memory, threads and whole files of the real system.

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "host/posix/clock.h"
#include "host/posix/entropy.h"
#include "host/posix/memory.h"
#include "host/posix/outside_memory.h"
#include "host/posix/read_file.h"
#include "host/posix/test_directory.h"
#include "host/posix/threads.h"

namespace coracle::host {
namespace {

TEST(PosixClockTest, MovesForward) {
  PosixClock clock;
  const uint64_t before = clock.NowNanoseconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  EXPECT_GE(clock.NowNanoseconds(), before + 2'000'000);
}

TEST(PosixEntropyTest, FillsEverything) {
  PosixEntropy entropy;
  std::vector<std::byte> a(1000);
  std::vector<std::byte> b(1000);
  ASSERT_TRUE(entropy.Fill(a).ok());
  ASSERT_TRUE(entropy.Fill(b).ok());
  ASSERT_TRUE(entropy.Fill({}).ok());
  EXPECT_NE(a, b);
  EXPECT_LT(std::ranges::count(a, std::byte{0}), 100);
}

TEST(PosixMemoryTest, IsZeroedAlignedAndResident) {
  PosixMemory memory;
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const auto region = memory.Reserve(10 * page + 1).value();
  const std::span<std::byte> bytes = region->bytes();
  ASSERT_EQ(bytes.size(), 10 * page + 1);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes.data()) % page, 0U);
  EXPECT_EQ(std::ranges::count(bytes, std::byte{0}), static_cast<ptrdiff_t>(bytes.size()));
  std::vector<unsigned char> resident(11);
  ASSERT_EQ(::mincore(bytes.data(), bytes.size(), resident.data()), 0);
  EXPECT_TRUE(std::ranges::all_of(resident, [](unsigned char r) { return (r & 1) == 1; }));
  EXPECT_TRUE(memory.Reserve(0).value()->bytes().empty());
}

TEST(PosixMemoryTest, TooMuchIsAnError) {
  PosixMemory memory;
  const auto region = memory.Reserve(uint64_t{1} << 60);
  ASSERT_FALSE(region.ok());
  EXPECT_EQ(region.error().code, Code::kUnavailable);
}

TEST(PosixMemoryTest, AForkFindsZerosWhereKeysWere) {
  PosixMemory memory;
  const auto keys = memory.ReserveForProcess(5000).value();
  const auto plain = memory.Reserve(5000).value();
  ASSERT_EQ(keys->bytes().size(), 5000U);
  std::ranges::fill(keys->bytes(), std::byte{7});
  std::ranges::fill(plain->bytes(), std::byte{7});
  const auto is = [](std::span<std::byte> bytes, int value) {
    return std::ranges::all_of(
        bytes, [&](std::byte byte) { return byte == static_cast<std::byte>(value); });
  };
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(is(keys->bytes(), 0) && is(plain->bytes(), 7) ? 0 : 1);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_TRUE(is(keys->bytes(), 7)) << "the parent keeps its own";
  EXPECT_TRUE(memory.ReserveForProcess(0).value()->bytes().empty());
  EXPECT_EQ(memory.ReserveForProcess(uint64_t{1} << 60).error().code, Code::kUnavailable);
}

TEST(PosixOutsideMemoryTest, GivesExactlyWhatWasAsked) {
  PosixOutsideMemory outside;
  const auto region = outside.Reserve(10'001).value();
  ASSERT_EQ(region->bytes().size(), 10'001U);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(region->bytes().data()) % 4096, 0U);
  region->bytes().back() = std::byte{1};
  EXPECT_TRUE(outside.Reserve(0).value()->bytes().empty());
  EXPECT_EQ(outside.Reserve(uint64_t{1} << 60).error().code, Code::kUnavailable);
}

TEST(PosixThreadsTest, RunsJoinsAndWakes) {
  PosixThreads threads;
  std::atomic<uint32_t> word{0};
  std::atomic<uint32_t> woken{0};
  {
    std::vector<std::unique_ptr<Thread>> workers;
    for (int i = 0; i < 4; ++i) {
      workers.push_back(threads
                            .Start([&] {
                              while (word.load() == 0) threads.Wait(word, 0);
                              woken.fetch_add(1);
                            })
                            .value());
    }
    word.store(1);
    threads.WakeAll(word);
  }
  EXPECT_EQ(woken.load(), 4U);
  threads.Wait(word, 0);  // the word has another value: returns at once
}

TEST(ReadFileTest, ReadsUpToTheLimit) {
  const TestDirectory directory;
  const std::string path = directory.Write("x", std::string(1000, 'x'));
  EXPECT_EQ(ReadWholeFile(path, 1000).value().size(), 1000U);
  EXPECT_EQ(ReadWholeFile(path, 999).error().code, Code::kInvalidArgument);
  EXPECT_EQ(ReadWholeFile(directory.Write("empty", ""), 10).error().code, Code::kInvalidArgument);
  EXPECT_EQ(ReadWholeFile(directory.path("none"), 10).error().code, Code::kNotFound);
  EXPECT_EQ(ReadWholeFile(directory.path(""), 10).error().code, Code::kInvalidArgument);
}

TEST(ReadFileTest, ReadsAPipe) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const std::string text(200'000, 'p');
  std::thread writer([&] {
    size_t written = 0;
    while (written < text.size()) {
      const ssize_t put = ::write(ends[1], text.data() + written, text.size() - written);
      if (put <= 0) break;
      written += static_cast<size_t>(put);
    }
    ::close(ends[1]);
  });
  const auto bytes = ReadWholeFile("/dev/fd/" + std::to_string(ends[0]), 1 << 20);
  writer.join();
  ::close(ends[0]);
  ASSERT_TRUE(bytes.ok()) << bytes.error().message;
  EXPECT_EQ(bytes->size(), text.size());
}

}  // namespace
}  // namespace coracle::host
