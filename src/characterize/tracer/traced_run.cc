#include "characterize/tracer/traced_run.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>

#include "characterize/program/target_program.h"

namespace coracle::characterize {
namespace {

constexpr char kQemu[] = "qemu-x86_64";
constexpr char kPreload[] = "LD_PRELOAD";
constexpr timespec kLookEvery = {0, 200'000'000};
constexpr int kExitCannotExecute = 127;
constexpr unsigned long kPersonalityAsIs = 0xffffffff;  // personality(2)

/// Signals that we wait for while the program runs, instead of being interrupted by them.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigemptyset(&held_);
    for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&held_, number);
    sigprocmask(SIG_BLOCK, &held_, &before_);
  }
  ~SignalsHeld() { Restore(); }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;

  void Restore() const { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  /// The next of them, or 0 after a while. `from_process`: sent by kill, to us alone.
  int Next(bool& from_process) const {
    siginfo_t info{};
    const int number = sigtimedwait(&held_, &info, &kLookEvery);
    from_process = info.si_code == SI_USER;
    return number > 0 ? number : 0;
  }

 private:
  sigset_t held_;
  sigset_t before_;
};

/// The report file, read again when it was replaced.
class ReportFile {
 public:
  explicit ReportFile(std::string path) : path_(std::move(path)) {}

  /// True: `report` is a new one.
  bool ReadNew(Json& report) {
    struct stat status {};
    if (::stat(path_.c_str(), &status) != 0) return false;
    const bool read =
        status.st_mtim.tv_sec == written_.tv_sec && status.st_mtim.tv_nsec == written_.tv_nsec;
    return !read && Read(report);
  }

  /// False: there is none, or none that is whole.
  bool Read(Json& report) {
    struct stat status {};
    if (::stat(path_.c_str(), &status) != 0) return false;
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path_.c_str(), "re"),
                                                               &std::fclose);
    if (file == nullptr) return false;
    std::string text(static_cast<size_t>(status.st_size), '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file.get()));
    Json read = Json::parse(text, nullptr, false);
    if (!read.is_object()) return false;
    written_ = status.st_mtim;
    report = std::move(read);
    return true;
  }

 private:
  std::string path_;
  timespec written_ = {0, -1};
};

// What cannot be escaped in a path to preload: the loader's separators, and in what QEMU is to
// preload for the program, the one that it has between variables.
constexpr char kLoaderSeparators[] = ": ";
constexpr char kQemuSeparators[] = ": ,";

bool HasAnyOf(const std::string& path, const char* characters) {
  return path.find_first_of(characters) != std::string::npos;
}

std::vector<std::string> CommandLine(const std::string& qemu, const TracedProgram& program,
                                     const std::string& plugin_option,
                                     const std::string& recorder_path) {
  // All that this QEMU emulates: AVX2, but not AVX-512.
  std::vector<std::string> words = {qemu, "-cpu", "max", "-plugin", plugin_option};
  // What is preloaded into QEMU is not for the program, and the other way about. The program's
  // calls come to ours first, and go on to the user's own.
  std::string preloaded = recorder_path;
  if (const char* const own = std::getenv(kPreload); own != nullptr && *own != 0) {
    if (!preloaded.empty()) preloaded += ':';
    preloaded += own;
  }
  if (preloaded.empty()) {
    words.insert(words.end(), {"-U", kPreload});
  } else {
    words.insert(words.end(), {"-E", fmt::format("{}={}", kPreload, preloaded)});
  }
  words.insert(words.end(), {"-0", program.arguments[0], program.path});
  words.insert(words.end(), program.arguments.begin() + 1, program.arguments.end());
  return words;
}

Result<pid_t> Start(const std::vector<std::string>& words, const std::string& plugin_path,
                    const SignalsHeld& signals) {
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) {
    return Error{Code::kUnavailable,
                 fmt::format("cannot start {}: {}", kQemu, std::strerror(errno))};
  }
  if (child == 0) {
    for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP}) ::signal(number, SIG_DFL);
    signals.Restore();
    // Runs of one program can be compared address by address.
    ::personality(static_cast<unsigned long>(::personality(kPersonalityAsIs)) | ADDR_NO_RANDOMIZE);
    // Where it cannot be, a crash leaves an older report.
    if (!HasAnyOf(plugin_path, kLoaderSeparators)) ::setenv(kPreload, plugin_path.c_str(), 1);
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
    ::execv(arguments[0], arguments.data());
    ::_exit(kExitCannotExecute);
  }
  return child;
}

}  // namespace

Result<TraceOutcome> RunTraced(const TracedProgram& program, const std::string& plugin_path,
                               TracerOrders orders,
                               const std::function<void(const Json&)>& progress) {
  const auto qemu = FindProgram(kQemu);
  if (!qemu.ok()) {
    return Error{Code::kUnavailable,
                 fmt::format("{} is not in PATH: install Debian's package qemu-user", kQemu)};
  }
  if (HasAnyOf(orders.recorder_path, kQemuSeparators)) orders.recorder_path.clear();
  const SignalsHeld signals;
  TRY_ASSIGN(const pid_t child,
             Start(CommandLine(*qemu, program, orders.ToOption(plugin_path), orders.recorder_path),
                   plugin_path, signals));
  TraceOutcome outcome;
  ReportFile report(orders.report_path);
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    bool from_process = false;
    const int number = signals.Next(from_process);
    if (number != 0 && number != SIGCHLD) {
      outcome.told_to_end = number;
      if (from_process) ::kill(child, number);
    }
    if (report.ReadNew(outcome.findings)) progress(outcome.findings);
  }
  report.Read(outcome.findings);
  outcome.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + outcome.signal;
  if (outcome.findings.is_null()) {
    return Error{Code::kUnavailable,
                 fmt::format("{} ended with {} before it reported anything", kQemu,
                             outcome.signal != 0 ? fmt::format("signal {}", outcome.signal)
                                                 : fmt::format("code {}", outcome.exit_code))};
  }
  if (const auto refused = outcome.findings.find("refused"); refused != outcome.findings.end()) {
    return Error{Code::kUnsupported, fmt::format("{}: {}", program.path, refused->dump())};
  }
  return outcome;
}

}  // namespace coracle::characterize
