#include "emulator/epcrun/run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string_view>
#include <utility>

#include "base/units.h"
#include "emulator/epcrun/child.h"
#include "emulator/epcrun/exit_codes.h"
#include "emulator/epcrun/machine.h"
#include "emulator/epcrun/program.h"
#include "emulator/epcrun/report.h"
#include "emulator/epcrun/run_memory.h"
#include "emulator/epcrun/shared_epc.h"
#include "emulator/epcrun/timeline.h"

namespace coracle::epc {
namespace {

constexpr uint32_t kIdleMs = 1000;

/// What looks after a run from outside while it lasts.
struct Watch {
  std::unique_ptr<Timeline> timeline;
  std::unique_ptr<SharedEpc> share;

  uint32_t PeriodMs() const {
    if (share != nullptr) return kShareMs;
    return timeline != nullptr ? kTimelineMs : kIdleMs;
  }
  void Tick(RunRecord& record) {
    if (share != nullptr) share->Tick(record);
    if (timeline != nullptr) timeline->Tick(record);
  }
};

/// This process may itself run under epcrun.
Status CheckNotInside() {
  const char* const handover = std::getenv(kHandoverVariable);
  if (handover == nullptr ||
      !std::string_view(handover).starts_with(fmt::format("{}:", getpid()))) {
    return {};
  }
  return Error{Code::kUnsupported, "this runs under epcrun already, and limits do not nest"};
}

void FillOrders(const Options& options, RunRecord& record) {
  record.limit_bytes = options.limit_bytes;
  record.charge_cycles = options.charge_cycles;
  record.quota_bytes = options.quota_bytes;
  options.share.copy(record.share_name, sizeof record.share_name - 1);
  record.ticks_per_second = MeasureTicksPerSecond();
}

Result<std::unique_ptr<Child>> StartChild(const Options& options, int record_fd) {
  Child::Settings settings;
  settings.arguments = options.program;
  settings.record_fd = record_fd;
  TRY_ASSIGN(settings.path, FindProgram(options.program.front()));
  TRY(CheckProgram(settings.path, settings.arguments));
  TRY_ASSIGN(settings.library, FindLibrary());
  TRY(CheckMachine());
  return Child::Start(settings);
}

Status JoinShare(const Options& options, pid_t pid, RunRecord& record, Watch& watch) {
  if (options.share.empty()) return {};
  SharedEpc::Settings settings;
  settings.name = options.share;
  settings.size_bytes = options.limit_bytes;
  settings.quota_bytes = options.quota_bytes;
  settings.pid = pid;
  settings.program = std::filesystem::path(options.program.front()).filename();
  TRY_ASSIGN(watch.share, SharedEpc::Join(settings, record));
  return {};
}

/// epcrun's exit code. Where the library ended the program, it has said why on stderr.
/// Errors: kUnavailable (the program ran without the library).
Result<int> ExitCode(const RunRecord& record, const Ending& ending, const std::string& program) {
  switch (record.state.load()) {
    case RunState::kInside:
      return ending.exit_code;
    case RunState::kTampered:
      return kTamperedExitCode;
    case RunState::kRefused:
      return kExitRefused;
    case RunState::kStarting:
      break;
  }
  // Killed before the loader was done: nothing ran that could have been inside.
  if (ending.signal != 0) return ending.exit_code;
  return Error{
      Code::kUnavailable,
      fmt::format("{} ran without any limit: its loader did not take libepcrun.so (what it "
                  "said is above); its results mean nothing",
                  program)};
}

Status Write(const Options& options, const RunRecord& record, const RunFacts& facts) {
  const RunState state = record.state;
  const bool ran = state == RunState::kInside || state == RunState::kTampered;
  if (options.summary == Summary::kPrint && ran) {
    std::fputs(RunText(record, facts).c_str(), stderr);
  }
  return options.json.empty() ? Status() : WriteJson(options.json, RunJson(record, facts));
}

}  // namespace

Result<int> RunInside(const Options& options) {
  TRY(CheckNotInside());
  TRY(CheckJsonPath(options.json));
  TRY_ASSIGN(const auto memory, RunMemory::Make());
  RunRecord& record = memory->record();
  FillOrders(options, record);
  Watch watch;
  if (!options.timeline.empty()) {
    TRY_ASSIGN(watch.timeline, Timeline::Make(options.timeline));
  }
  TRY_ASSIGN(auto child, StartChild(options, memory->fd()));
  TRY(JoinShare(options, child->pid(), record, watch));
  const uint64_t start_ns = Nanoseconds();
  TRY(child->Open());
  RunFacts facts;
  facts.program = options.program;
  TRY_ASSIGN(facts.ending, child->Wait(watch.PeriodMs(), [&] { watch.Tick(record); }));
  facts.wall_seconds = static_cast<double>(Nanoseconds() - start_ns) / 1e9;
  const Result<int> exit_code = ExitCode(record, facts.ending, options.program.front());
  facts.exit_code = exit_code.ok() ? *exit_code : ExitCodeOf(exit_code.error().code);
  if (watch.timeline != nullptr) TRY(watch.timeline->Finish(record));
  TRY(Write(options, record, facts));
  return exit_code;
}

Result<int> ListShare(const Options& options) {
  TRY_ASSIGN(const ShareView view, ViewShare(options.share));
  uint64_t parts_bytes = 0;
  uint64_t resident_bytes = 0;
  fmt::print("{:>8} {:<20} {:>10} {:>10} {:>10} {:>12} {:>12} {:>12}\n", "PID", "PROGRAM", "QUOTA",
             "PART", "RESIDENT", "FAULTS", "LOADS", "EVICTIONS");
  for (const MemberView& member : view.members) {
    parts_bytes += member.part_bytes;
    resident_bytes += member.resident_bytes;
    fmt::print("{:>8} {:<20} {:>10} {:>10} {:>10} {:>12} {:>12} {:>12}\n", member.pid, member.name,
               member.quota_bytes == 0 ? "-" : FormatBytes(member.quota_bytes),
               FormatBytes(member.part_bytes), FormatBytes(member.resident_bytes), member.faults,
               member.loads, member.evictions);
  }
  fmt::print("{} of {}: {} in parts, {} resident\n", options.share, FormatBytes(view.size_bytes),
             FormatBytes(parts_bytes), FormatBytes(resident_bytes));
  return kExitDone;
}

}  // namespace coracle::epc
