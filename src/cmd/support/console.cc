#include "cmd/support/console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "base/units.h"

namespace coracle::cmd {

void Console::Register(CLI::App* verb, std::function<Result<Report>()> body) {
  verb->add_flag("--json", json_, "Print one JSON object on stdout");
  verb->callback([this, body = std::move(body)] { Print(body()); });
}

void Console::Print(const Result<Report>& result) {
  if (result.ok()) {
    // A user's arguments may be in it, which need not be UTF-8.
    const std::string text =
        json_ ? result.value().json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"
              : result.value().text;
    std::fwrite(text.data(), 1, text.size(), stdout);
    exit_code_ = result.value().exit_code;
    if (std::fflush(stdout) == 0) return;
    fmt::print(stderr, "coracle: cannot write the result to stdout: {}\n", std::strerror(errno));
    exit_code_ = kExitFailed;
    return;
  }
  const Error& error = result.error();
  if (json_) {
    const Json json = {{"error", {{"code", CodeName(error.code)}, {"message", error.message}}}};
    std::fputs((json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n").c_str(), stdout);
  }
  fmt::print(stderr, "coracle: {}\n", error.message);
  exit_code_ = error.code == Code::kInvalidArgument ? kExitUsage : kExitFailed;
}

namespace {

/// Whether the last option among `words` takes as many values as follow.
bool EndsInValues(const CLI::App& app, std::span<char* const> words) {
  const CLI::App* verb = &app;
  const CLI::Option* last = nullptr;
  for (const std::string word : words) {
    const auto named = verb->get_subcommands(
        [&word](const CLI::App* subcommand) { return subcommand->check_name(word); });
    if (!named.empty()) verb = named[0];
    if (word.rfind("--", 0) == 0) {
      last = verb->get_option_no_throw(word.substr(0, word.find('=')));
    }
  }
  return last != nullptr && last->get_items_expected_max() > 1;
}

/// CLI11 takes a "--" for the end of such values and for nothing else: a second one keeps what
/// follows from being read as options.
std::vector<char*> WithPositionalMark(const CLI::App& app, int argc, char** argv) {
  static char mark[] = "--";
  std::vector<char*> words(argv, argv + argc);
  const auto at = std::find_if(words.begin(), words.end(),
                               [](const char* word) { return std::string_view(word) == mark; });
  if (at != words.end() && EndsInValues(app, {words.begin(), at})) words.insert(at, mark);
  return words;
}

}  // namespace

int ParseAndRun(CLI::App& app, Console& console, int argc, char** argv) {
  try {
    const std::vector<char*> words = WithPositionalMark(app, argc, argv);
    app.parse(static_cast<int>(words.size()), words.data());
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? kExitSuccess : kExitUsage;
  }
  return console.exit_code();
}

ProgressLine::ProgressLine(std::string_view what, ProgressUnit unit)
    : what_(what), unit_(unit), terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() {
  if (terminal_ && shown_percent_ >= 0) fmt::print(stderr, "\r\033[K");
}

void ProgressLine::Update(uint64_t done, uint64_t total) {
  if (!terminal_ || total == 0) return;
  const int percent = static_cast<int>(done * 100 / total);
  if (percent == shown_percent_) return;
  shown_percent_ = percent;
  const std::string all =
      unit_ == ProgressUnit::kBytes ? FormatBytes(total) : fmt::format("{} inputs", total);
  fmt::print(stderr, "\r{} {:3}% of {}\033[K", what_, percent, all);
}

Result<uint64_t> ParseBudget(std::string_view text) {
  if (text == "unlimited") return UINT64_MAX;
  Result<uint64_t> bytes = ParseBytes(text);
  if (!bytes.ok()) {
    return Error{
        Code::kInvalidArgument,
        fmt::format("--memory: '{}' is not a size; write for example 8MiB, or unlimited", text)};
  }
  return bytes;
}

std::string FormatBudget(uint64_t bytes) {
  return bytes == UINT64_MAX ? "unlimited" : FormatBytes(bytes);
}

}  // namespace coracle::cmd
