#include "characterize/analysis/recorder_loading.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>

namespace coracle::characterize {
namespace {

constexpr char kPath[] = "/lib/recorder.so";

SystemCall Open(const char* path) {
  return {SYS_openat, {uint64_t(-100), reinterpret_cast<uintptr_t>(path), 0}};
}

TEST(RecorderLoading, KnowsTheCallsThatTheLoaderMakesForIt) {
  RecorderLoading loading(kPath);
  EXPECT_FALSE(loading.Makes(Open("/lib/libc.so.6")));
  const SystemCall open = Open(kPath);
  ASSERT_TRUE(loading.Makes(open));
  loading.Return(open, 3);
  EXPECT_TRUE(loading.Makes({SYS_read, {3, 0, 832}}));
  EXPECT_FALSE(loading.Makes({SYS_read, {4, 0, 832}}));
  EXPECT_TRUE(loading.Makes({SYS_newfstatat, {3}}));
  EXPECT_FALSE(loading.Makes({SYS_mmap, {0, 8192, 3, MAP_ANONYMOUS, uint64_t(-1)}}));
  const SystemCall map = {SYS_mmap, {0, 20000, PROT_READ, MAP_PRIVATE, 3}};
  ASSERT_TRUE(loading.Makes(map));
  loading.Return(map, 0x10000);
  EXPECT_TRUE(loading.Holds(0x10000));
  EXPECT_TRUE(loading.Holds(0x14fff));
  EXPECT_FALSE(loading.Holds(0x15000));
  EXPECT_FALSE(loading.Holds(0xffff));
  // Its .bss.
  const SystemCall bss = {SYS_mmap, {0x12000, 4096, 3, MAP_FIXED | MAP_ANONYMOUS, uint64_t(-1)}};
  EXPECT_TRUE(loading.Makes(bss));
  loading.Return(bss, 0x12000);
  EXPECT_TRUE(loading.Holds(0x10000));
  const SystemCall close = {SYS_close, {3}};
  ASSERT_TRUE(loading.Makes(close));
  loading.Return(close, 0);
  EXPECT_FALSE(loading.Makes({SYS_read, {3, 0, 832}}));
  EXPECT_TRUE(loading.Makes({SYS_mprotect, {0x11000, 4096, PROT_READ}}));
  EXPECT_FALSE(loading.Makes({SYS_mprotect, {0x20000, 4096, PROT_READ}}));
  // The program reads it by itself.
  EXPECT_FALSE(loading.Makes(open));
}

TEST(RecorderLoading, WithoutItAllCallsAreTheProgramsOwn) {
  const RecorderLoading loading("");
  EXPECT_FALSE(loading.Makes(Open("")));
  EXPECT_FALSE(loading.Makes({SYS_mprotect, {0, 4096, PROT_READ}}));
  EXPECT_FALSE(loading.Holds(0));
}

}  // namespace
}  // namespace coracle::characterize
