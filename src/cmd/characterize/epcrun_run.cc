#include "cmd/characterize/epcrun_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "cmd/support/scratch_folder.h"
#include "cmd/support/sealed_file.h"

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX leaves it undeclared

namespace coracle::cmd {
namespace {

using std::chrono::duration;
using std::chrono::steady_clock;

constexpr char kEpcrun[] = "epcrun";
constexpr std::string_view kSays = "epcrun: ";  // begins each line of its own on stderr
constexpr timespec kLookEvery = {0, 100'000'000};
constexpr uint64_t kProbeBytes = uint64_t{8} << 20;

/// `words` as a process of its own, without input; what it writes to stderr goes to `said_path`.
Result<pid_t> Start(const std::vector<std::string>& words, const std::string& said_path) {
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (const std::string& word : words)
    argv.push_back(const_cast<char*>(word.c_str()));  // NOLINT: posix_spawn takes char*
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, said_path.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
  pid_t child = -1;
  const int failure = posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure == 0) return child;
  return Error{Code::kUnavailable,
               fmt::format("cannot start {}: {}", words[0], std::strerror(failure))};
}

int ExitCodeOf(pid_t child, const std::function<int(double)>& waiting) {
  const auto begin = steady_clock::now();
  int status = 0;
  int told = 0;
  for (;;) {
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child || (ended < 0 && errno != EINTR)) break;
    const int number = waiting(duration<double>(steady_clock::now() - begin).count());
    // Once: what a program makes of a second one is another matter.
    if (number != 0 && told == 0) ::kill(child, told = number);
    ::nanosleep(&kLookEvery, nullptr);
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/// The program's own words may stand between epcrun's.
std::string LastOfEpcrun(const std::string& said_path) {
  std::ifstream file(said_path);
  std::string last;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(kSays)) last = line.substr(kSays.size());
  }
  return last;
}

Json ReadJson(const std::string& path) {
  std::ifstream file(path);
  Json json = Json::parse(file, nullptr, false);
  return json.is_object() ? json : Json();
}

}  // namespace

Result<std::string> FindEpcrun() {
  std::string path = fmt::format("{}/{}", ProgramFolder(), kEpcrun);
  if (::access(path.c_str(), X_OK) != 0) {
    return Error{Code::kNotFound,
                 fmt::format("{} is not beside coracle, where it belongs: nothing can be measured",
                             kEpcrun)};
  }
  TRY_ASSIGN(const EpcrunOutcome probe,
             RunUnderEpcrun(path, kProbeBytes, {"true"}, [](double) { return 0; }));
  if (probe.exit_code == 0 && !probe.report.is_null()) return path;
  return Error{Code::kUnavailable,
               fmt::format("nothing can be measured: {}: {}", kEpcrun,
                           probe.refusal.empty() ? fmt::format("exit code {}", probe.exit_code)
                                                 : probe.refusal)};
}

Result<EpcrunOutcome> RunUnderEpcrun(const std::string& epcrun, uint64_t epc_bytes,
                                     const std::vector<std::string>& program,
                                     const std::function<int(double)>& waiting) {
  TRY_ASSIGN(const auto folder, ScratchFolder::Make());
  const std::string report_path = folder->path() + "/report.json";
  const std::string said_path = folder->path() + "/said";
  std::vector<std::string> words = {epcrun,   "-q",        "--size", std::to_string(epc_bytes),
                                    "--json", report_path, "--"};
  words.insert(words.end(), program.begin(), program.end());
  TRY_ASSIGN(const pid_t child, Start(words, said_path));
  EpcrunOutcome outcome;
  outcome.exit_code = ExitCodeOf(child, waiting);
  outcome.report = ReadJson(report_path);
  outcome.refusal = LastOfEpcrun(said_path);
  return outcome;
}

}  // namespace coracle::cmd
