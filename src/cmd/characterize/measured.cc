#include "cmd/characterize/measured.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/units.h"
#include "characterize/analysis/findings.h"
#include "cmd/characterize/epcrun_run.h"
#include "cmd/support/interruption.h"

namespace coracle::cmd {
namespace {

using characterize::Whole;

constexpr char kInside[] = "inside";  // epcrun's "state" of a program that ran as it should
constexpr char kInterrupted[] = "interrupted";

/// The first mark of that label from `at` on. Errors: kNotFound.
Result<size_t> FindMark(const Json& marks, uint64_t label, size_t at) {
  for (size_t i = at; i < marks.size(); ++i) {
    if (Whole(marks[i], "label") == label) return i;
  }
  return Error{Code::kNotFound, fmt::format("it made no mark {} under epcrun", label)};
}

void ShowProgress(uint64_t epc_bytes, double seconds) {
  if (isatty(STDERR_FILENO) != 1) return;
  fmt::print(stderr, "\rmeasuring under epcrun: {}, {:.0f} s\033[K", FormatBytes(epc_bytes),
             seconds);
}

/// Why the counts of a run say nothing of the program that was traced; empty if they do.
std::string WhyNot(const EpcrunOutcome& outcome, const Json& findings) {
  const Json& report = outcome.report;
  if (report.is_null()) {
    return outcome.refusal.empty() ? fmt::format("epcrun: exit code {}", outcome.exit_code)
                                   : "epcrun: " + outcome.refusal;
  }
  if (report.at("state") != kInside) {
    return report.at("complaint").is_string() ? report.at("complaint").get<std::string>()
                                              : "epcrun: " + outcome.refusal;
  }
  const int traced = findings.at("exit_code").get<int>();
  if (outcome.exit_code == traced) return "";
  return fmt::format("it ended with {} under epcrun, and with {} when it was traced",
                     outcome.exit_code, traced);
}

Result<Json> MeasureOne(const std::string& epcrun, const CharacterizeOptions& options,
                        const std::vector<std::string>& program, const Json& findings,
                        const Json& size) {
  const uint64_t epc_bytes = Whole(size, "bytes");
  TRY_ASSIGN(const EpcrunOutcome outcome,
             RunUnderEpcrun(epcrun, epc_bytes, program, [&](double seconds) {
               ShowProgress(epc_bytes, seconds);
               return Interruption::signal_number();
             }));
  if (Interruption::signal_number() != 0) return Error{Code::kUnavailable, kInterrupted};
  if (std::string why = WhyNot(outcome, findings); !why.empty()) {
    return Error{Code::kUnavailable, std::move(why)};
  }
  TRY_ASSIGN(Json measured, CountsBetween(outcome.report, options.from_mark, options.to_mark));
  const auto predicted = size.at("loads").get<double>();
  const auto counted = measured.at("loads").get<double>();
  measured["difference"] = counted == 0 ? Json() : Json(predicted / counted - 1);
  return measured;
}

}  // namespace

Result<Json> CountsBetween(const Json& epcrun_report, std::optional<uint64_t> from_mark,
                           std::optional<uint64_t> to_mark) {
  const Json& marks = epcrun_report.at("marks");
  const Json* begin = nullptr;
  const Json* end = &epcrun_report;
  size_t at = 0;
  if (from_mark.has_value()) {
    TRY_ASSIGN(at, FindMark(marks, *from_mark, 0));
    begin = &marks[at++];
  }
  if (to_mark.has_value()) {
    TRY_ASSIGN(at, FindMark(marks, *to_mark, at));
    end = &marks[at];
  }
  const auto between = [&](const char* key) {
    return Whole(*end, key) - (begin == nullptr ? 0 : Whole(*begin, key));
  };
  return Json{{"loads", between("loads")},
              {"evictions", between("evictions")},
              {"first_touches", between("zero_fills")}};
}

Status CheckMeasuring() {
  TRY_ASSIGN(const std::string epcrun, FindEpcrun());
  return {};
}

Status MeasureUnderEpcrun(const CharacterizeOptions& options,
                          const std::vector<std::string>& program, Json& findings) {
  TRY_ASSIGN(const std::string epcrun, FindEpcrun());
  const bool was_interrupted = findings.value("ending", "") == kInterrupted;
  const Interruption interruption;
  for (Json& size : findings.at("epc").at("sizes")) {
    if (was_interrupted || Interruption::signal_number() != 0) {
      size["measured"] = {{"error", kInterrupted}};
      continue;
    }
    auto measured = MeasureOne(epcrun, options, program, findings, size);
    size["measured"] =
        measured.ok() ? std::move(*measured) : Json{{"error", measured.error().message}};
  }
  if (isatty(STDERR_FILENO) == 1) fmt::print(stderr, "\r\033[K");
  return {};
}

}  // namespace coracle::cmd
