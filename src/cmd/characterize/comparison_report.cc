#include "cmd/characterize/comparison_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "characterize/digests/code_names.h"
#include "characterize/digests/digest_findings.h"
#include "cmd/characterize/grouped.h"

namespace coracle::cmd {
namespace {

using characterize::AddressStream;
using characterize::CodeDifference;
using characterize::CodeDifferenceKind;
using characterize::TraceComparison;

/// Of functions, and of instructions.
constexpr size_t kDifferencesListed = 20;
constexpr size_t kDifferenceKinds = 5;

std::string FileName(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

const char* SameOr(bool differs) { return differs ? "differs" : "same"; }

/// Over all threads.
uint64_t Items(const Json& digests, AddressStream stream) {
  const std::string name(characterize::AddressStreamName(stream));
  uint64_t items = 0;
  for (const Json& thread : digests.at("threads")) {
    items += thread.at(name).at("items").get<uint64_t>();
  }
  return items;
}

characterize::CodeNames NamesOf(const Json& first, const Json& second) {
  std::vector<characterize::CodeNames::Piece> pieces;
  for (const Json* digests : {&first, &second}) {
    for (const Json& file : digests->at("files")) {
      pieces.push_back({file.at(0).get<uint64_t>(), file.at(1).get<uint64_t>(),
                        file.at(2).get<uint64_t>(), file.at(3).get<std::string>()});
    }
  }
  return characterize::CodeNames(std::move(pieces));
}

/// {"function", "file", "jumps", "pages", "lines", "accesses", "runs"}: how many instructions
/// differ in what. In the order of their first difference.
Json FunctionsJson(const std::vector<std::pair<characterize::CodePlace, CodeDifferenceKind>>& all) {
  std::map<std::pair<std::string, std::string>, size_t> known;
  std::vector<std::array<uint64_t, kDifferenceKinds>> counts;
  std::vector<const characterize::CodePlace*> places;
  for (const auto& [place, kind] : all) {
    const auto [at, is_new] = known.try_emplace({place.file, place.function}, counts.size());
    if (is_new) {
      counts.push_back({});
      places.push_back(&place);
    }
    ++counts[at->second][static_cast<size_t>(kind)];
  }
  Json functions = Json::array();
  for (size_t i = 0; i < std::min(counts.size(), kDifferencesListed); ++i) {
    Json one = {{"function", places[i]->function}, {"file", FileName(places[i]->file)}};
    for (size_t k = 0; k < kDifferenceKinds; ++k) {
      one[std::string(CodeDifferenceName(static_cast<CodeDifferenceKind>(k)))] = counts[i][k];
    }
    functions.push_back(std::move(one));
  }
  return functions;
}

Json DifferencesJson(const ComparedRun& first, const ComparedRun& second,
                     const TraceComparison& comparison) {
  if (comparison.same()) return nullptr;
  characterize::CodeNames names = NamesOf(first.digests, second.digests);
  std::vector<std::pair<characterize::CodePlace, CodeDifferenceKind>> places;
  Json instructions = Json::array();
  for (const CodeDifference& one : comparison.code) {
    places.emplace_back(names.PlaceOf(one.address), one.kind);
    if (instructions.size() == kDifferencesListed) continue;
    const characterize::CodePlace& place = places.back().first;
    instructions.push_back({{"function", place.function},
                            {"file", FileName(place.file)},
                            {"file_offset", place.offset},
                            {"differs_in", CodeDifferenceName(one.kind)},
                            {"counts", {one.first_count, one.second_count}}});
  }
  Json calls = Json::array();
  for (const characterize::CallDifference& call : comparison.calls) {
    calls.push_back({{"name", call.name}, {"calls", {call.first_count, call.second_count}}});
  }
  return {{"between", {first.input, second.input}},
          {"functions", FunctionsJson(places)},
          {"instructions", std::move(instructions)},
          {"instructions_count", comparison.code.size()},
          {"system_calls", std::move(calls)}};
}

Json RunJson(const ComparedRun& first, const ComparedRun& run) {
  const TraceComparison& with_first = run.with_first;
  Json streams = Json::object();
  for (size_t i = 0; i < characterize::kAddressStreamCount; ++i) {
    const auto name = characterize::AddressStreamName(static_cast<AddressStream>(i));
    streams[std::string(name)] = SameOr(with_first.differs[i]);
  }
  return {{"input", run.input},
          {"seconds", run.seconds},
          {"threads", run.digests.at("threads")},
          {"system_calls", run.digests.at("system_calls")},
          {"pages", SameOr(with_first.pages_differ())},
          {"lines", SameOr(with_first.lines_differ())},
          {"code", SameOr(with_first.code_differs())},
          {"calls", SameOr(!with_first.calls.empty())},
          {"streams", std::move(streams)},
          {"differences", DifferencesJson(first, run, with_first)}};
}

/// What differs in any of the runs: "pages (data), lines (data, code), code, system calls".
std::string WhatDiffers(const std::vector<ComparedRun>& runs) {
  const auto any = [&runs](auto&& differs) {
    return std::any_of(runs.begin(), runs.end(),
                       [&](const ComparedRun& run) { return differs(run.with_first); });
  };
  const auto stream = [&](AddressStream which) {
    return any([which](const TraceComparison& c) { return c.differs[static_cast<size_t>(which)]; });
  };
  std::vector<std::string> parts;
  const auto add = [&parts](const char* name, bool data, bool code) {
    if (!data && !code) return;
    parts.push_back(fmt::format("{} ({}{}{})", name, data ? "data" : "", data && code ? ", " : "",
                                code ? "code" : ""));
  };
  add("pages", stream(AddressStream::kDataPages), stream(AddressStream::kCodePages));
  add("lines", stream(AddressStream::kDataLines), stream(AddressStream::kCodeLines));
  if (stream(AddressStream::kCodeBlocks)) parts.emplace_back("the order of instructions");
  if (any([](const TraceComparison& c) { return !c.calls.empty(); })) {
    parts.emplace_back("system calls");
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string VerdictText(const InputComparison& comparison) {
  switch (comparison.verdict()) {
    case ComparisonVerdict::kSame:
      return fmt::format(
          "SAME: with these {} inputs it touches the same pages and lines and executes the same "
          "instructions, in the same order\n",
          comparison.runs.size());
    case ComparisonVerdict::kDiffers:
      return fmt::format("DEPENDS ON THE INPUT: {}\n", WhatDiffers(comparison.runs));
    case ComparisonVerdict::kCannotBeJudged:
      break;
  }
  return fmt::format(
      "CANNOT BE JUDGED: on {} alone, traced twice, it differs from itself in: {}\nIt depends on "
      "something else than its input: the time, process numbers, random numbers, the turns that "
      "threads take.\n",
      FileName(comparison.runs[0].input), WhatDiffers(comparison.again));
}

std::string RunsText(const InputComparison& comparison) {
  size_t width = 5;
  for (const ComparedRun& run : comparison.runs) {
    width = std::max(width, FileName(run.input).size() + 9);
  }
  std::string text =
      fmt::format("\n{:<{}} {:>15} {:>15} {:>9} {:>9} {:>9} {:>13}\n", "input", width,
                  "lines touched", "blocks of code", "pages", "lines", "code", "system calls");
  const auto add = [&](const ComparedRun& run, const std::string& name, bool is_first) {
    const TraceComparison& c = run.with_first;
    const auto verdict = [is_first](bool differs) { return is_first ? "" : SameOr(differs); };
    text += fmt::format("{:<{}} {:>15} {:>15} {:>9} {:>9} {:>9} {:>13}\n", name, width,
                        Grouped(Items(run.digests, AddressStream::kDataLines)),
                        Grouped(Items(run.digests, AddressStream::kCodeBlocks)),
                        verdict(c.pages_differ()), verdict(c.lines_differ()),
                        verdict(c.code_differs()), verdict(!c.calls.empty()));
  };
  for (const ComparedRun& run : comparison.runs) {
    add(run, FileName(run.input), &run == &comparison.runs[0]);
  }
  for (const ComparedRun& run : comparison.again) add(run, FileName(run.input) + " (again)", false);
  return text;
}

std::string DifferencesText(const Json& differences) {
  size_t width = 24;
  for (const char* list : {"functions", "instructions"}) {
    for (const Json& one : differences.at(list)) {
      width = std::max(width, one.at("function").get<std::string>().size());
    }
  }
  std::string text = fmt::format(
      "\nwhat differs between {} and {}, in the order in which it first ran (what merely ran more "
      "or less often last):\n{:<{}} {:<24} {:>6} {:>6} {:>6} {:>8} {:>6}\n",
      FileName(differences.at("between").at(0).get<std::string>()),
      FileName(differences.at("between").at(1).get<std::string>()), "instructions of function",
      width, "file", "jumps", "pages", "lines", "accesses", "runs");
  for (const Json& one : differences.at("functions")) {
    text += fmt::format("{:<{}} {:<24} {:>6} {:>6} {:>6} {:>8} {:>6}\n",
                        one.at("function").get<std::string>(), width,
                        one.at("file").get<std::string>(), one.at("jumps").get<uint64_t>(),
                        one.at("pages").get<uint64_t>(), one.at("lines").get<uint64_t>(),
                        one.at("accesses").get<uint64_t>(), one.at("runs").get<uint64_t>());
  }
  text += fmt::format("\n{:<{}} {:<32} {:>10} {:>15} {:>15}\n", "instruction in", width,
                      "file + offset", "differs in", "times in first", "in second");
  for (const Json& one : differences.at("instructions")) {
    text += fmt::format(
        "{:<{}} {:<32} {:>10} {:>15} {:>15}\n", one.at("function").get<std::string>(), width,
        fmt::format("{}+{:#x}", one.at("file").get<std::string>(),
                    one.at("file_offset").get<uint64_t>()),
        one.at("differs_in").get<std::string>(), Grouped(one.at("counts").at(0).get<uint64_t>()),
        Grouped(one.at("counts").at(1).get<uint64_t>()));
  }
  const auto count = differences.at("instructions_count").get<uint64_t>();
  if (count > kDifferencesListed) {
    text += fmt::format("... and {} more\n", Grouped(count - kDifferencesListed));
  }
  for (const Json& call : differences.at("system_calls")) {
    text +=
        fmt::format("system call {}: {} and {}\n", call.at("name").get<std::string>(),
                    call.at("calls").at(0).get<uint64_t>(), call.at("calls").at(1).get<uint64_t>());
  }
  return text;
}

const char* VerdictName(ComparisonVerdict verdict) {
  constexpr const char* kNames[] = {"same", "differs", "cannot be judged"};
  return kNames[static_cast<size_t>(verdict)];
}

}  // namespace

ComparisonVerdict InputComparison::verdict() const {
  const auto differs = [](const ComparedRun& run) { return !run.with_first.same(); };
  if (std::any_of(again.begin(), again.end(), differs)) return ComparisonVerdict::kCannotBeJudged;
  return std::any_of(runs.begin(), runs.end(), differs) ? ComparisonVerdict::kDiffers
                                                        : ComparisonVerdict::kSame;
}

Report ReportComparison(const InputComparison& comparison) {
  const auto any = [&comparison](auto&& differs) {
    return SameOr(std::any_of(comparison.runs.begin(), comparison.runs.end(),
                              [&](const ComparedRun& run) { return differs(run.with_first); }));
  };
  const ComparisonVerdict verdict = comparison.verdict();
  Report report;
  report.exit_code = verdict == ComparisonVerdict::kSame ? kExitSuccess : kExitFailed;
  report.json["command"] = comparison.command;
  report.json["compared"] = comparison.between;
  report.json["verdict"] = VerdictName(verdict);
  report.json["pages"] = any([](const TraceComparison& c) { return c.pages_differ(); });
  report.json["lines"] = any([](const TraceComparison& c) { return c.lines_differ(); });
  report.json["code"] = any([](const TraceComparison& c) { return c.code_differs(); });
  report.json["calls"] = any([](const TraceComparison& c) { return !c.calls.empty(); });
  Json& inputs = report.json["inputs"] = Json::array();
  Json shown;
  for (const ComparedRun& run : comparison.runs) {
    inputs.push_back(RunJson(comparison.runs[0], run));
    if (shown.is_null()) shown = inputs.back().at("differences");
  }
  report.json["again"] = nullptr;
  for (const ComparedRun& run : comparison.again) {
    report.json["again"] = RunJson(comparison.runs[0], run);
    if (verdict == ComparisonVerdict::kCannotBeJudged) {
      shown = report.json["again"].at("differences");
    }
  }
  report.text = fmt::format("{}\ncompared: {}\n{}\n{}", fmt::join(comparison.command, " "),
                            comparison.between, RunsText(comparison), VerdictText(comparison));
  if (!shown.is_null()) report.text += DifferencesText(shown);
  return report;
}

}  // namespace coracle::cmd
