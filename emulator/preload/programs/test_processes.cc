// Children: fork, vfork, posix_spawn, system, popen, with threads that go on meanwhile; descriptors
// that are all closed; and, with an argument, another program in the same process.

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "emulator/preload/programs/test_check.h"

namespace {

constexpr size_t kBytes = 24 << 20;
constexpr int kChildCode = 7;

int WaitFor(pid_t child) {
  int status = 0;
  PROGRAM_CHECK(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// A child has all of its parent's memory, however much of it is away; each changes its own.
void Fork() {
  std::vector<unsigned char> bytes(kBytes);
  FillPattern(bytes.data(), kBytes, 1);
  const pid_t child = fork();
  if (child == 0) {
    const bool inherited = HasPattern(bytes.data(), kBytes, 1);
    FillPattern(bytes.data(), kBytes, 2);
    _exit(inherited && HasPattern(bytes.data(), kBytes, 2) ? kChildCode : 1);
  }
  PROGRAM_CHECK(WaitFor(child) == kChildCode);
  PROGRAM_CHECK(HasPattern(bytes.data(), kBytes, 1));
}

void Spawn(const char* self) {
  std::string name = self;
  std::string argument = "child";
  char* arguments[] = {name.data(), argument.data(), nullptr};
  for (int i = 0; i < 10; ++i) {
    pid_t child = 0;
    PROGRAM_CHECK(posix_spawn(&child, self, nullptr, nullptr, arguments, environ) == 0);
    PROGRAM_CHECK(WaitFor(child) == kChildCode);
    PROGRAM_CHECK(posix_spawn(&child, "/nonexistent", nullptr, nullptr, arguments, environ) ==
                  ENOENT);
  }
  const pid_t child = vfork();
  if (child == 0) {
    execv(self, arguments);
    _exit(1);
  }
  PROGRAM_CHECK(WaitFor(child) == kChildCode);
}

void Shell() {
  PROGRAM_CHECK(WEXITSTATUS(std::system("exit 3")) == 3);
  std::FILE* const pipe = popen("echo out; grep SigBlk /proc/self/status", "r");
  char line[100];
  PROGRAM_CHECK(std::fgets(line, sizeof line, pipe) != nullptr && std::strcmp(line, "out\n") == 0);
  // Nothing of what is blocked while a call is made gets into another program.
  PROGRAM_CHECK(std::fgets(line, sizeof line, pipe) != nullptr &&
                std::strcmp(line, "SigBlk:\t0000000000000000\n") == 0);
  pclose(pipe);
}

void ForkWithThreads() {
  std::atomic<bool> stop{false};
  std::thread other([&stop] {
    while (!stop.load()) {
      std::vector<unsigned char> bytes(1 << 20);
      FillPattern(bytes.data(), bytes.size(), 3);
    }
  });
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      const std::vector<unsigned char> bytes(1 << 20, kChildCode);
      _exit(bytes[5]);
    }
    PROGRAM_CHECK(WaitFor(child) == kChildCode);
  }
  stop.store(true);
  other.join();
}

void CloseAll() {
  for (int fd = 3; fd < 1100; ++fd) close(fd);
  PROGRAM_CHECK(close_range(3, ~0U, 0) == 0);
  for (int fd = 100; fd < 1000; ++fd) dup2(0, fd);
  std::vector<unsigned char> bytes(kBytes);
  FillPattern(bytes.data(), kBytes, 4);
  PROGRAM_CHECK(HasPattern(bytes.data(), kBytes, 4));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "child") == 0) return kChildCode;
  if (argc == 2) {
    // Another program in this process, with an environment of its own and long arguments.
    const std::string length(100'000, 'x');
    char variable[] = "ONLY=1";
    char* environment[] = {variable, nullptr};
    execle("/bin/sh", "sh", "-c", "test $ONLY = 1 && test ${#0} = 100000 && exit 9", length.c_str(),
           nullptr, environment);
    return 1;
  }
  Fork();
  Spawn(argv[0]);
  Shell();
  ForkWithThreads();
  CloseAll();
  return 0;
}
