#include "emulator/epcrun/machine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "emulator/epcrun/descriptor.h"

// Debian 12's headers are older than these.
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_OFF 0
#endif

namespace coracle::epc {
namespace {

constexpr uint64_t kRateNanoseconds = 5'000'000;

Error Unavailable(std::string message) { return Error{Code::kUnavailable, std::move(message)}; }

Status CheckUserfaultfd() {
  const Descriptor fd(
      static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)));
  if (fd.valid()) {
    uffdio_api api = {};
    api.api = UFFD_API;
    api.features = UFFD_FEATURE_SIGBUS;
    if (ioctl(fd.get(), UFFDIO_API, &api) == 0) return {};
    return Unavailable(
        "this kernel's userfaultfd has no SIGBUS mode: Linux 5.11 or later is needed");
  }
  switch (errno) {
    case ENOSYS:
      return Unavailable(
          "this kernel has no userfaultfd: it needs CONFIG_USERFAULTFD=y (or, in a sandbox that "
          "hides it, to be let through)");
    case EINVAL:
      return Unavailable(
          "this kernel's userfaultfd knows no UFFD_USER_MODE_ONLY: Linux 5.11 or later is needed");
    case EPERM:
    case EACCES:
      return Unavailable(
          "userfaultfd is refused: in a container allow it in the seccomp profile (docker run "
          "--security-opt seccomp=unconfined, or a profile with userfaultfd), else run `sysctl -w "
          "vm.unprivileged_userfaultfd=1`");
    default:
      return Unavailable(fmt::format("userfaultfd: {}", std::strerror(errno)));
  }
}

Status CheckDispatch() {
  if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0) == 0) return {};
  if (errno == EINVAL) {
    return Unavailable("this kernel has no Syscall User Dispatch: Linux 5.11 or later is needed");
  }
  return Unavailable(fmt::format(
      "Syscall User Dispatch is refused ({}): allow prctl(PR_SET_SYSCALL_USER_DISPATCH) in the "
      "seccomp profile",
      std::strerror(errno)));
}

}  // namespace

uint64_t Nanoseconds() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

uint64_t MeasureTicksPerSecond() {
  const uint64_t start = Nanoseconds();
  const uint64_t start_ticks = Ticks();
  uint64_t now = start;
  while (now - start < kRateNanoseconds) now = Nanoseconds();
  return static_cast<uint64_t>(static_cast<double>(Ticks() - start_ticks) * 1e9 /
                               static_cast<double>(now - start));
}

Status CheckMachine() {
  TRY(CheckUserfaultfd());
  return CheckDispatch();
}

}  // namespace coracle::epc
