#include "emulator/epcrun/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "emulator/epcrun/exit_codes.h"
#include "emulator/pager/run_record.h"

namespace coracle::epc {
namespace {

/// Taken one by one in Wait instead of being delivered.
constexpr std::array<int, 9> kWatched = {SIGCHLD, SIGINT,  SIGQUIT, SIGTERM, SIGHUP,
                                         SIGTSTP, SIGCONT, SIGUSR1, SIGUSR2};

sigset_t Watched() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kWatched) sigaddset(&set, signal);
  return set;
}

struct Pipe {
  Descriptor read;
  Descriptor write;
};

Result<Pipe> MakePipe() {
  std::array<int, 2> ends = {};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    return Error{Code::kUnavailable, fmt::format("pipe: {}", std::strerror(errno))};
  }
  return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

void SetEnvironment(const Child::Settings& settings) {
  const std::string handover = fmt::format("{}:{}", getpid(), settings.record_fd);
  setenv(kHandoverVariable, handover.c_str(), 1);
  const char* const before = std::getenv("LD_PRELOAD");
  std::string libraries = settings.library;
  if (before != nullptr && *before != '\0') libraries += fmt::format(":{}", before);
  setenv("LD_PRELOAD", libraries.c_str(), 1);
}

/// In the child: waits at the gate, then becomes the program. Returns only errno.
int BecomeProgram(const Child::Settings& settings, const sigset_t& mask, pid_t parent, int gate) {
  // Set before the parent is looked at, so that it cannot go unnoticed in between.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return errno;
  if (getppid() != parent) _exit(kExitRefused);
  char opened = 0;
  if (read(gate, &opened, 1) != 1) _exit(kExitRefused);
  SetEnvironment(settings);
  std::vector<char*> arguments;
  for (const std::string& argument : settings.arguments) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  execv(settings.path.c_str(), arguments.data());
  return errno;
}

/// A signal that somebody sent to this process, which a terminal would have sent to the whole
/// group.
bool WasSentToUs(const siginfo_t& info) { return info.si_code != SI_KERNEL; }

/// Stops with the program, so that the shell sees it; goes on with it after `fg`.
void StopAndGoOn(pid_t pid) {
  raise(SIGSTOP);
  kill(pid, SIGCONT);
}

/// Whether job control stopped it (Ctrl-Z), and not somebody who wants to look at it alone.
bool StoppedAsJob(int status) {
  const int signal = WSTOPSIG(status);
  return signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

/// The program's end, if it has ended. Stops with it if it has stopped.
std::optional<Ending> Reap(pid_t pid) {
  for (;;) {
    int status = 0;
    Ending ending;
    const pid_t who = wait4(pid, &status, WNOHANG | WUNTRACED, &ending.usage);
    if (who != pid) return std::nullopt;
    if (WIFSTOPPED(status)) {
      if (StoppedAsJob(status)) StopAndGoOn(pid);
      continue;
    }
    ending.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    ending.exit_code = ending.signal != 0 ? kExitSignalBase + ending.signal : WEXITSTATUS(status);
    return ending;
  }
}

}  // namespace

Result<std::unique_ptr<Child>> Child::Start(const Settings& settings) {
  TRY_ASSIGN(Pipe gate, MakePipe());
  TRY_ASSIGN(Pipe refusal, MakePipe());
  const sigset_t watched = Watched();
  sigset_t mask;
  sigprocmask(SIG_BLOCK, &watched, &mask);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return Error{Code::kUnavailable, fmt::format("fork: {}", std::strerror(errno))};
  if (pid == 0) {
    gate.write.Close();
    const int failed = BecomeProgram(settings, mask, parent, gate.read.get());
    const ssize_t written = write(refusal.write.get(), &failed, sizeof failed);
    _exit(written == sizeof failed ? kExitRefused : kExitNotExecutable);
  }
  return std::unique_ptr<Child>(
      new Child(pid, settings.path, std::move(gate.write), std::move(refusal.read)));
}

Child::~Child() {
  if (reaped_) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

Status Child::Open() {
  if (write(gate_.get(), "", 1) != 1) {
    return Error{Code::kUnavailable, fmt::format("the gate: {}", std::strerror(errno))};
  }
  gate_.Close();
  int failed = 0;
  ssize_t got = 0;
  do {
    got = read(refusal_.get(), &failed, sizeof failed);
  } while (got < 0 && errno == EINTR);
  refusal_.Close();
  if (got != sizeof failed) return {};
  const std::string message = fmt::format("{}: {}", path_, std::strerror(failed));
  if (failed == ENOENT) return Error{Code::kNotFound, message};
  const bool refused = failed == EACCES || failed == ENOEXEC || failed == EPERM;
  return Error{refused ? Code::kPermissionDenied : Code::kUnavailable, message};
}

Result<Ending> Child::Wait(uint32_t tick_ms, const std::function<void()>& tick) {
  const sigset_t watched = Watched();
  timespec pause = {};
  pause.tv_sec = tick_ms / 1000;
  pause.tv_nsec = long{tick_ms % 1000} * 1'000'000;
  for (;;) {
    if (const std::optional<Ending> ending = Reap(pid_)) {
      reaped_ = true;
      return *ending;
    }
    siginfo_t info = {};
    const int signal = sigtimedwait(&watched, &info, &pause);
    const bool ours = signal < 0 || signal == SIGCHLD || signal == SIGCONT;
    if (!ours && WasSentToUs(info)) kill(pid_, signal);
    tick();
  }
}

}  // namespace coracle::epc
