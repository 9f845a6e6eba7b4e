#include "swap_paths.h"

#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

namespace coracle::bench {
namespace {

SwapMemory* served = nullptr;

void OnFault(int, siginfo_t* info, void*) {
  if (served == nullptr || !served->Contains(info->si_addr)) std::abort();
  served->Serve(info->si_addr);
}

void CatchFaults(int signal_number) {
  struct sigaction action {};
  action.sa_sigaction = OnFault;
  action.sa_flags = SA_SIGINFO;
  sigfillset(&action.sa_mask);
  sigaction(signal_number, &action, nullptr);
}

class SignalPath final : public SwapPath {
 public:
  SignalPath(int userfault, Moves moves, uint32_t batch, uint64_t pages, uint64_t limit_pages)
      : userfault_(userfault), memory_(userfault, moves, batch, pages, limit_pages) {}
  ~SignalPath() override {
    if (userfault_ >= 0) close(userfault_);
  }
  void Begin() override {
    served = &memory_;
    CatchFaults(SIGBUS);
    CatchFaults(SIGSEGV);
  }
  void End() override {
    signal(SIGBUS, SIG_DFL);
    signal(SIGSEGV, SIG_DFL);
    served = nullptr;
  }
  std::byte* page(uint64_t index) override { return memory_.page(index); }
  SwapTicks TakeTicks() override { return std::exchange(memory_.ticks(), {}); }

 private:
  int userfault_;
  SwapMemory memory_;
};

class ThreadPath final : public SwapPath {
 public:
  ThreadPath(int userfault, int core, uint64_t pages, uint64_t limit_pages)
      : userfault_(userfault),
        stop_(eventfd(0, EFD_CLOEXEC)),
        memory_(userfault, Moves::kCopy, 1, pages, limit_pages),
        thread_([this, core] { Run(core); }) {}
  ~ThreadPath() override {
    const uint64_t one = 1;
    if (write(stop_, &one, sizeof(one)) != sizeof(one)) std::abort();
    thread_.join();
    close(stop_);
    close(userfault_);
  }
  void Begin() override {}
  void End() override {}
  std::byte* page(uint64_t index) override { return memory_.page(index); }
  /// The faulting thread waits while the other works, so there is no race.
  SwapTicks TakeTicks() override { return std::exchange(memory_.ticks(), {}); }

 private:
  void Run(int core) {
    BindToCore(core);
    for (;;) {
      pollfd both[2] = {{userfault_, POLLIN, 0}, {stop_, POLLIN, 0}};
      poll(both, 2, -1);
      if (both[1].revents != 0) return;
      uffd_msg message{};
      if (read(userfault_, &message, sizeof(message)) != sizeof(message)) continue;
      memory_.Serve(reinterpret_cast<void*>(message.arg.pagefault.address));
    }
  }

  int userfault_;
  int stop_;
  SwapMemory memory_;
  std::thread thread_;
};

}  // namespace

void BindToCore(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(core), &set);
  if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0) {
    std::fprintf(stderr, "core %d is not to be had: its figures mean nothing\n", core);
  }
}

std::unique_ptr<SwapPath> MakeSignalPath(Moves moves, uint32_t batch, uint64_t pages,
                                         uint64_t limit_pages) {
  int userfault = -1;
  if (moves != Moves::kProtect) {
    bool has_move = false;
    userfault = OpenUserFault(true, &has_move);
    if (userfault < 0) return nullptr;
    if (moves == Moves::kMove && !has_move) {
      close(userfault);
      return nullptr;
    }
  }
  return std::make_unique<SignalPath>(userfault, moves, batch, pages, limit_pages);
}

std::unique_ptr<SwapPath> MakeThreadPath(int core, uint64_t pages, uint64_t limit_pages) {
  bool has_move = false;
  const int userfault = OpenUserFault(false, &has_move);
  if (userfault < 0) return nullptr;
  return std::make_unique<ThreadPath>(userfault, core, pages, limit_pages);
}

}  // namespace coracle::bench
