// A pager in the test's own process: SIGBUS goes to it, as the preload library has it.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <memory>
#include <string>

#include "emulator/pager/pager.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CORACLE_EPC_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CORACLE_EPC_SANITIZED 1
#endif

namespace coracle::epc {

/// Makes, installs and takes down a pager. One at a time.
class TestPager {
 public:
  explicit TestPager(uint64_t limit_bytes, Moves moves = Moves::kMove);
  ~TestPager();
  TestPager(const TestPager&) = delete;
  TestPager& operator=(const TestPager&) = delete;

  Pager* operator->() { return pager_; }
  Pager& operator*() { return *pager_; }
  RunRecord& record() { return *record_; }

  /// Paged memory, read-write unless it says otherwise.
  std::byte* Map(uint64_t bytes, int protection = PROT_READ | PROT_WRITE);
  void Unmap(void* at, uint64_t bytes);

 private:
  std::unique_ptr<RunRecord> record_;
  Pager* pager_ = nullptr;
};

/// Blocks all signals, as whoever calls the pager must.
class SignalsBlocked {
 public:
  SignalsBlocked();
  ~SignalsBlocked();

 private:
  uint64_t before_;
};

/// Present pages of [begin, begin + bytes), from /proc/self/pagemap.
uint64_t PresentPages(const void* begin, uint64_t bytes);

/// Why tests of this kind cannot run here; empty: they can.
std::string WhyNoPager();

#define SKIP_WITHOUT_PAGER() \
  if (const std::string why = ::coracle::epc::WhyNoPager(); !why.empty()) GTEST_SKIP() << why

}  // namespace coracle::epc
