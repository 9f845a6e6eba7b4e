#include "cmd/support/line_child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX leaves it undeclared

namespace coracle::cmd {
namespace {

constexpr size_t kLineBytesMax = 1 << 20;

Error Lost(const std::string& name, const char* what) {
  return {Code::kUnavailable, fmt::format("{}: {}", name, what)};
}

}  // namespace

Result<std::unique_ptr<LineChild>> LineChild::Start(const std::string& program,
                                                    const std::vector<std::string>& arguments) {
  const std::string name = std::filesystem::path(program).filename().string();
  std::array<int, 2> to_child{};
  std::array<int, 2> from_child{};
  if (pipe2(to_child.data(), O_CLOEXEC) != 0 || pipe2(from_child.data(), O_CLOEXEC) != 0) {
    return Lost(name, std::strerror(errno));
  }
  std::vector<char*> argv = {const_cast<char*>(name.c_str())};  // NOLINT: posix_spawn takes char*
  for (const std::string& argument : arguments)
    argv.push_back(const_cast<char*>(argument.c_str()));  // NOLINT
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to_child[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, from_child[1], STDOUT_FILENO);
  pid_t child = -1;
  const int failure = posix_spawn(&child, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(to_child[0]);
  close(from_child[1]);
  if (failure != 0) {
    close(to_child[1]);
    close(from_child[0]);
    return Error{Code::kUnavailable,
                 fmt::format("cannot start {}: {}", program, std::strerror(failure))};
  }
  return std::unique_ptr<LineChild>(new LineChild(child, to_child[1], from_child[0], name));
}

LineChild::~LineChild() {
  close(input_);
  close(output_);
  kill(child_, SIGTERM);
  kill(child_, SIGCONT);
  int status = 0;
  while (waitpid(child_, &status, 0) < 0 && errno == EINTR) {
  }
}

Result<std::string> LineChild::ReadLine() {
  while (true) {
    const size_t end = buffered_.find('\n');
    if (end != std::string::npos) {
      std::string line = buffered_.substr(0, end);
      buffered_.erase(0, end + 1);
      return line;
    }
    if (buffered_.size() > kLineBytesMax) return Lost(name_, "gave an endless line");
    std::array<char, 4096> piece{};
    const ssize_t got = read(output_, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Lost(name_, "ended early (see its message above)");
    buffered_.append(piece.data(), static_cast<size_t>(got));
  }
}

void LineChild::Suspend() { kill(child_, SIGSTOP); }

Result<Json> LineChild::Ask(const std::string& line) {
  kill(child_, SIGCONT);
  if (!line.empty()) {
    const std::string text = line + "\n";
    if (write(input_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      return Lost(name_, "does not listen any more (see its message above)");
    }
  }
  TRY_ASSIGN(const std::string answer, ReadLine());
  Json json = Json::parse(answer, nullptr, false);
  if (!json.is_object()) return Lost(name_, "answered something that is not JSON");
  return json;
}

}  // namespace coracle::cmd
