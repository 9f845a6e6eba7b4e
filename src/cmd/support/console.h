// What every verb says to its user: one JSON object or plain text on stdout, everything else on
// stderr.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace coracle::cmd {

using Json = nlohmann::ordered_json;

inline constexpr int kExitSuccess = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

enum class Output : uint8_t { kText, kJson };

/// What a verb gives back: a JSON object for --json, and the same for people.
struct Report {
  Json json = Json::object();
  std::string text;
  int exit_code = kExitSuccess;  ///< of the process, once this was printed
};

/// One invocation of the program. A verb's callback stores its exit code here.
class Console {
 public:
  /// Adds --json to `verb` and runs `body` when the verb is chosen: its report goes to stdout, its
  /// error as one line to stderr (and as {"error": ...} to stdout with --json).
  void Register(CLI::App* verb, std::function<Result<Report>()> body);

  Output output() const { return json_ ? Output::kJson : Output::kText; }
  int exit_code() const { return exit_code_; }

 private:
  void Print(const Result<Report>& result);

  bool json_ = false;
  int exit_code_ = kExitSuccess;
};

/// Parses argv for `app`: --help exits 0, wrong usage 2 with a hint. Returns the exit code.
int ParseAndRun(CLI::App& app, Console& console, int argc, char** argv);

/// What a ProgressLine's numbers count.
enum class ProgressUnit : uint8_t { kBytes, kInputs };

/// A progress line on stderr, only where that is a terminal. Cheap to call often.
class ProgressLine {
 public:
  explicit ProgressLine(std::string_view what, ProgressUnit unit = ProgressUnit::kBytes);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  void Update(uint64_t done, uint64_t total);

 private:
  std::string what_;
  ProgressUnit unit_;
  bool terminal_;
  int shown_percent_ = -1;
};

/// Parses a --memory or similar option: a size or "unlimited".
Result<uint64_t> ParseBudget(std::string_view text);
/// "8 MiB" or "unlimited".
std::string FormatBudget(uint64_t bytes);

}  // namespace coracle::cmd
