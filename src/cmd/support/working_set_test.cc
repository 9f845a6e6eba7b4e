#include "cmd/support/working_set.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstddef>
#include <span>

#include "host/posix/memory.h"

#if defined(__clang__)
#define CORACLE_BARE __attribute__((no_sanitize("address", "thread")))
#else
#define CORACLE_BARE __attribute__((no_sanitize_address, no_sanitize_thread))
#endif

namespace coracle::cmd {
namespace {

constexpr size_t kPageBytes = 4096;
constexpr size_t kPages = 1024;
/// What else a test touches on its way: its stack, its heap.
constexpr uint64_t kNoiseBytes = uint64_t{256} * 1024;

std::span<volatile char> Map(int sharing) {
  void* const base =
      ::mmap(nullptr, kPages * kPageBytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | sharing, -1, 0);
  EXPECT_NE(base, MAP_FAILED);
  return {static_cast<volatile char*>(base), kPages * kPageBytes};
}

/// Without a sanitizer's shadow memory, which would be counted too.
CORACLE_BARE void Touch(std::span<volatile char> pages) {
  volatile char* const base = pages.data();
  for (size_t offset = 0; offset < kPages * kPageBytes; offset += kPageBytes) base[offset] = 1;
}

class WorkingSetTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!WorkingSet().Bytes(0).has_value()) {
      GTEST_SKIP() << "this kernel does not tell which pages were reached";
    }
  }

  /// How much more is counted if `pages` are touched while measuring than if they are not.
  static int64_t CountedOf(std::span<volatile char> pages) {
    Touch(pages);  // present, and at the processor's hand, before anything is measured
    const WorkingSet idle;
    const auto without = static_cast<int64_t>(idle.Bytes(0).value());
    const WorkingSet busy;
    Touch(pages);
    return static_cast<int64_t>(busy.Bytes(0).value()) - without;
  }
};

TEST_F(WorkingSetTest, CountsTouchedPrivateMemory) {
  const auto pages = Map(MAP_PRIVATE);
  EXPECT_NEAR(static_cast<double>(CountedOf(pages)), kPages * kPageBytes, kNoiseBytes);
}

TEST_F(WorkingSetTest, SharedMemoryIsTheHosts) {
  EXPECT_NEAR(static_cast<double>(CountedOf(Map(MAP_SHARED))), 0, kNoiseBytes);
}

TEST_F(WorkingSetTest, PoolsAreTheBudgets) {
  host::PosixMemory memory;
  auto region = memory.Reserve(kPages * kPageBytes).value();
  const std::span<volatile char> pages(reinterpret_cast<char*>(region->bytes().data()),
                                       region->bytes().size());
  EXPECT_NEAR(static_cast<double>(CountedOf(pages)), 0, kNoiseBytes);
}

TEST_F(WorkingSetTest, TheRestOfThePoolsLastPageCounts) {
  const WorkingSet touched;
  const uint64_t bytes = touched.Bytes(5 * kPageBytes + 1).value();
  EXPECT_EQ((5 * kPageBytes + 1 + bytes) % kPageBytes, 0U);
}

}  // namespace
}  // namespace coracle::cmd
