// Signals: handlers, masks, jumps out of handlers, faults of the program's own, alternate stacks.

#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csetjmp>
#include <csignal>
#include <cstring>
#include <ctime>
#include <vector>

#include "emulator/preload/programs/test_check.h"

namespace {

volatile sig_atomic_t count;
volatile void* fault_address;
sigjmp_buf back;
std::vector<unsigned char>* touched_by_handler;

void Count(int) {
  count = count + 1;
  // Memory that is likely to be away.
  std::vector<unsigned char>& bytes = *touched_by_handler;
  for (size_t i = 0; i < bytes.size(); i += 4096) bytes[i] = static_cast<unsigned char>(count);
}

void JumpBack(int) { siglongjmp(back, 1); }

void JumpFromFault(int, siginfo_t* info, void*) {
  fault_address = info->si_addr;
  siglongjmp(back, 1);
}

void Interrupted() {
  std::signal(SIGALRM, SIG_DFL);
  struct sigaction action = {};
  action.sa_handler = Count;
  PROGRAM_CHECK(sigaction(SIGALRM, &action, nullptr) == 0);
  struct sigaction told = {};
  PROGRAM_CHECK(sigaction(SIGALRM, nullptr, &told) == 0);
  PROGRAM_CHECK(told.sa_handler == Count && (told.sa_flags & SA_ONSTACK) == 0);
  count = 0;
  int interrupted = 0;
  // Not at an interval: a handler that takes longer than that would leave time for nothing else.
  for (int i = 0; i < 30; ++i) {
    ualarm(3000, 0);
    if (poll(nullptr, 0, 200) < 0 && errno == EINTR) ++interrupted;
  }
  PROGRAM_CHECK(interrupted > 15 && count == 30);
}

/// Leaves a read(2) behind again and again, with what was held for it.
void JumpedOutOf() {
  std::signal(SIGALRM, JumpBack);
  static int ends[2];
  PROGRAM_CHECK(pipe(ends) == 0);
  for (static int i = 0; i < 100; ++i) {
    if (sigsetjmp(back, 1) == 0) {
      std::vector<char>* const bytes = new std::vector<char>(1 << 20);  // NOLINT: lost by the jump
      ualarm(1000, 0);
      PROGRAM_CHECK(read(ends[0], bytes->data(), bytes->size()) < 0);
      PROGRAM_CHECK(false);
    }
  }
  sigset_t mask;
  sigprocmask(SIG_SETMASK, nullptr, &mask);
  PROGRAM_CHECK(sigismember(&mask, SIGALRM) == 0);
  std::signal(SIGALRM, SIG_DFL);
}

void FaultAt(volatile char* address) {
  if (sigsetjmp(back, 1) == 0) {
    *address = 1;
    PROGRAM_CHECK(false);
  }
  PROGRAM_CHECK(fault_address == address);
}

char* PastTheEndOfAFile() {
  const int fd = memfd_create("empty", 0);
  void* const mapped = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  PROGRAM_CHECK(mapped != MAP_FAILED);
  return static_cast<char*>(mapped);
}

void OwnFaults() {
  struct sigaction action = {};
  action.sa_sigaction = JumpFromFault;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, nullptr);
  sigaction(SIGBUS, &action, nullptr);
  char* const guarded =
      static_cast<char*>(mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  for (int i = 0; i < 10; ++i) FaultAt(guarded);
  FaultAt(PastTheEndOfAFile());
  struct sigaction told = {};
  sigaction(SIGBUS, nullptr, &told);
  PROGRAM_CHECK(told.sa_sigaction == JumpFromFault);
  // Blocked for the program, and still ours.
  sigset_t bus;
  sigemptyset(&bus);
  sigaddset(&bus, SIGBUS);
  sigaddset(&bus, SIGSYS);
  sigprocmask(SIG_BLOCK, &bus, nullptr);
  const std::vector<unsigned char> bytes(20 << 20, 7);
  for (size_t i = 0; i < bytes.size(); i += 4096) PROGRAM_CHECK(bytes[i] == 7);
  sigprocmask(SIG_UNBLOCK, &bus, nullptr);
}

int SignalThatEnds(void (*what)()) {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    what();
    _exit(0);
  }
  int status = 0;
  PROGRAM_CHECK(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

void Defaults() {
  PROGRAM_CHECK(SignalThatEnds([] {
                  std::signal(SIGBUS, SIG_DFL);
                  *PastTheEndOfAFile() = 1;
                }) == SIGBUS);
  PROGRAM_CHECK(SignalThatEnds([] {
                  std::signal(SIGBUS, SIG_IGN);
                  raise(SIGBUS);
                }) == 0);
  PROGRAM_CHECK(SignalThatEnds([] {
                  std::signal(SIGBUS, SIG_DFL);
                  raise(SIGBUS);
                }) == SIGBUS);
}

void Masks() {
  sigset_t all;
  sigset_t before;
  sigset_t none;
  sigfillset(&all);
  sigemptyset(&none);
  sigprocmask(SIG_BLOCK, &all, &before);
  std::signal(SIGUSR1, Count);
  count = 0;
  kill(getpid(), SIGUSR1);
  sigset_t pending;
  sigpending(&pending);
  PROGRAM_CHECK(sigismember(&pending, SIGUSR1) == 1 && count == 0);
  const timespec soon = {1, 0};
  PROGRAM_CHECK(ppoll(nullptr, 0, &soon, &none) < 0 && errno == EINTR && count == 1);
  kill(getpid(), SIGUSR1);
  PROGRAM_CHECK(pselect(0, nullptr, nullptr, nullptr, &soon, &none) < 0 && count == 2);
  kill(getpid(), SIGUSR1);
  PROGRAM_CHECK(sigsuspend(&none) < 0 && count == 3);
  kill(getpid(), SIGUSR2);
  PROGRAM_CHECK(sigtimedwait(&all, nullptr, &soon) == SIGUSR2);
  const int fd = signalfd(-1, &all, 0);
  kill(getpid(), SIGUSR2);
  signalfd_siginfo info = {};
  PROGRAM_CHECK(read(fd, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR2);
  sigprocmask(SIG_SETMASK, &before, nullptr);
}

void AlternateStack() {
  std::vector<char> memory(1 << 16);
  stack_t stack = {};
  stack.ss_sp = memory.data();
  stack.ss_size = memory.size();
  PROGRAM_CHECK(sigaltstack(&stack, nullptr) == 0);
  stack_t told = {};
  PROGRAM_CHECK(sigaltstack(nullptr, &told) == 0);
  PROGRAM_CHECK(told.ss_sp == memory.data() && told.ss_size == memory.size());
  stack.ss_flags = SS_DISABLE;
  PROGRAM_CHECK(sigaltstack(&stack, nullptr) == 0);
}

}  // namespace

int main() {
  std::vector<unsigned char> touched(4 << 20);
  touched_by_handler = &touched;
  Interrupted();
  JumpedOutOf();
  OwnFaults();
  Defaults();
  Masks();
  AlternateStack();
  return 0;
}
