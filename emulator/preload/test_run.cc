#include "emulator/preload/test_run.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <new>

#include "base/check.h"

namespace coracle::epc {
namespace {

constexpr int kLeastDescriptor = 100;

[[noreturn]] void BecomeProgram(const std::vector<std::string>& arguments, pid_t inside, int fd) {
  const rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  const std::string handover = std::to_string(inside) + ":" + std::to_string(fd);
  setenv(kHandoverVariable, handover.c_str(), 1);
  setenv("LD_PRELOAD", CORACLE_LIBEPCRUN, 1);
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) {
    pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  pointers.push_back(nullptr);
  execv(pointers[0], pointers.data());
  _exit(127);
}

}  // namespace

TestRun::TestRun(uint64_t limit_bytes) {
  const int low = memfd_create("record", 0);
  fd_ = fcntl(low, F_DUPFD, kLeastDescriptor);
  close(low);
  CORACLE_CHECK(fd_ >= 0 && ftruncate(fd_, sizeof(RunRecord)) == 0);
  void* const mapped = mmap(nullptr, sizeof(RunRecord), PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  CORACLE_CHECK(mapped != MAP_FAILED);
  record_ = new (mapped) RunRecord;
  record_->record_bytes = sizeof(RunRecord);
  record_->limit_bytes = limit_bytes;
}

TestRun::~TestRun() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  munmap(record_, sizeof(RunRecord));
  close(fd_);
}

void TestRun::Start(const std::vector<std::string>& arguments, For whom) {
  const pid_t parent = getpid();
  pid_ = fork();
  CORACLE_CHECK(pid_ >= 0);
  if (pid_ == 0) BecomeProgram(arguments, whom == For::kThisProcess ? getpid() : parent, fd_);
}

int TestRun::Wait() {
  int status = 0;
  CORACLE_CHECK(waitpid(pid_, &status, 0) == pid_);
  pid_ = 0;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void TestRun::Kill(int signal) { kill(pid_, signal); }

}  // namespace coracle::epc
