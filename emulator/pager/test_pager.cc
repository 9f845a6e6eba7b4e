#include "emulator/pager/test_pager.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <vector>

namespace coracle::epc {
namespace {

std::atomic<Pager*> installed{nullptr};

void OnBusError(int, siginfo_t* info, void*) {
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  Pager* pager = installed.load();
  if (pager != nullptr && pager->Fault(address) == FaultOutcome::kServed) return;
  constexpr char kLine[] = "test: a SIGBUS that is not the pager's\n";
  static_cast<void>(!write(2, kLine, sizeof(kLine) - 1));
  _exit(99);
}

}  // namespace

SignalsBlocked::SignalsBlocked() {
  const uint64_t all = ~uint64_t{0};
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before_, sizeof(all));
}

SignalsBlocked::~SignalsBlocked() {
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before_, nullptr, sizeof(before_));
}

TestPager::TestPager(uint64_t limit_bytes, Moves moves) : record_(std::make_unique<RunRecord>()) {
  record_->limit_bytes = limit_bytes;
  char complaint[256] = {};
  pager_ = Pager::Create({.record = record_.get(), .moves = moves}, complaint);
  if (pager_ == nullptr) {
    ADD_FAILURE() << complaint;
    std::abort();
  }
  struct sigaction action {};
  action.sa_sigaction = OnBusError;
  action.sa_flags = SA_SIGINFO;
  sigfillset(&action.sa_mask);
  sigaction(SIGBUS, &action, nullptr);
  installed = pager_;
}

TestPager::~TestPager() {
  const SignalsBlocked blocked;
  pager_->SetLimit(kUnlimited);
  pager_->Destroy();
  installed = nullptr;
  signal(SIGBUS, SIG_DFL);
}

std::byte* TestPager::Map(uint64_t bytes, int protection) {
  const SignalsBlocked blocked;
  const long at = pager_->Map(0, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT_GT(at, 0);
  return reinterpret_cast<std::byte*>(at);
}

void TestPager::Unmap(void* at, uint64_t bytes) {
  const SignalsBlocked blocked;
  EXPECT_EQ(pager_->Unmap(reinterpret_cast<uintptr_t>(at), bytes), 0);
}

uint64_t PresentPages(const void* begin, uint64_t bytes) {
  static const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  std::vector<uint64_t> entries(bytes / kPageBytes);
  const auto offset = static_cast<off_t>(reinterpret_cast<uintptr_t>(begin) / kPageBytes * 8);
  EXPECT_EQ(pread(pagemap, entries.data(), entries.size() * 8, offset),
            static_cast<ssize_t>(entries.size() * 8));
  uint64_t present = 0;
  for (const uint64_t entry : entries) present += entry >> 63;
  return present;
}

std::string WhyNoPager() {
#if CORACLE_EPC_SANITIZED
  return "sanitizers' own shadow memory and handlers do not go with userfaultfd";
#else
  RunRecord record;
  char complaint[256] = {};
  Pager* pager = Pager::Create({.record = &record}, complaint);
  if (pager == nullptr) return complaint;
  pager->Destroy();
  return "";
#endif
}

}  // namespace coracle::epc
