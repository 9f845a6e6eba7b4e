#include "emulator/epcrun/report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <vector>

#include "base/units.h"

namespace coracle::epc {
namespace {

constexpr size_t kThreadsShown = 8;

double Seconds(const RunRecord& record, uint64_t ticks) {
  if (record.ticks_per_second == 0) return 0;
  return static_cast<double>(ticks) / static_cast<double>(record.ticks_per_second);
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

const char* StateName(RunState state) {
  switch (state) {
    case RunState::kStarting:
      return "starting";
    case RunState::kInside:
      return "inside";
    case RunState::kRefused:
      return "refused";
    case RunState::kTampered:
      return "tampered";
  }
  return "damaged";
}

/// A text that another process wrote: it may lack its end.
template <size_t kSize>
std::string Text(const char (&text)[kSize]) {
  return std::string(text, strnlen(text, kSize));
}

Json SizeOrNull(uint64_t bytes) { return bytes == kUnlimited ? Json() : Json(bytes); }

Json ThreadsJson(const RunRecord& record) {
  Json threads = Json::array();
  for (const ThreadCounters& thread : record.threads) {
    const uint32_t tid = thread.tid;
    if (tid == 0) continue;
    threads.push_back({{"tid", tid},
                       {"name", Text(thread.name)},
                       {"faults", thread.faults.load()},
                       {"loads", thread.loads.load()},
                       {"evictions", thread.evictions.load()},
                       {"zero_fills", thread.zero_fills.load()},
                       {"pager_seconds", Seconds(record, thread.pager_ticks)},
                       {"system_calls", thread.system_calls.load()}});
  }
  return threads;
}

Json MarksJson(const RunRecord& record) {
  Json marks = Json::array();
  const uint32_t count = std::min<uint32_t>(record.marks_count, kMarksMax);
  for (uint32_t i = 0; i < count; ++i) {
    const Mark& mark = record.marks[i];
    marks.push_back({{"label", mark.label},
                     {"nanoseconds", mark.nanoseconds},
                     {"faults", mark.faults},
                     {"loads", mark.loads},
                     {"evictions", mark.evictions},
                     {"zero_fills", mark.zero_fills}});
  }
  return marks;
}

Json SwapJson(const RunRecord& record) {
  if (std::max<uint64_t>(record.loads, record.evictions) == 0) return {};
  const SwapCost cost = SwapCostOf(record);
  return {{"total_us", cost.total_us},
          {"crypto_us", cost.crypto_us},
          {"mapping_us", cost.mapping_us},
          {"rest_us", cost.rest_us},
          {"waiting_us", cost.waiting_us}};
}

std::string OutsideText(const RunRecord& record) {
  std::string text = fmt::format(
      "epcrun: outside: code {}, mapped files and shared memory {}, the emulator's own {}",
      FormatBytes(record.code_bytes), FormatBytes(record.outside_bytes),
      FormatBytes(record.runtime_bytes));
  const uint32_t children = record.children;
  if (children > 0) text += fmt::format(", {} {}", children, children == 1 ? "child" : "children");
  return text + "\n";
}

/// The threads that spent most time in the pager; nothing if only one spent any.
std::string ThreadsText(const RunRecord& record) {
  std::vector<const ThreadCounters*> threads;
  for (const ThreadCounters& thread : record.threads) {
    if (thread.tid != 0 && thread.faults > 0) threads.push_back(&thread);
  }
  if (threads.size() < 2) return "";
  std::sort(threads.begin(), threads.end(), [](const ThreadCounters* a, const ThreadCounters* b) {
    return a->pager_ticks > b->pager_ticks;
  });
  std::string text;
  const size_t shown = std::min(threads.size(), kThreadsShown);
  for (size_t i = 0; i < shown; ++i) {
    const ThreadCounters& thread = *threads[i];
    text +=
        fmt::format("epcrun:   thread {} {}: {} faults, {} loads, {} evictions, {:.3f} s\n",
                    thread.tid.load(), Text(thread.name), thread.faults.load(), thread.loads.load(),
                    thread.evictions.load(), Seconds(record, thread.pager_ticks));
  }
  if (shown == threads.size()) return text;
  return text + fmt::format("epcrun:   and {} more (--json has all)\n", threads.size() - shown);
}

std::string SwapText(const RunRecord& record) {
  if (record.loads == 0) return "";
  const SwapCost cost = SwapCostOf(record);
  return fmt::format(
      "epcrun: a swap: {:.2f} us in the pager (crypto {:.2f}, mapping {:.2f}, rest {:.2f}) and "
      "what "
      "the kernel takes to deliver a fault (epcrun --calibrate)\n",
      cost.total_us, cost.crypto_us, cost.mapping_us, cost.rest_us);
}

Error FileError(const std::string& path) {
  return Error{Code::kUnavailable, fmt::format("{}: {}", path, std::strerror(errno))};
}

}  // namespace

SwapCost SwapCostOf(const RunRecord& record) {
  const uint64_t swaps = std::max<uint64_t>(record.loads, record.evictions);
  if (swaps == 0) return {};
  const auto microseconds = [&](uint64_t ticks) {
    return Seconds(record, ticks) * 1e6 / static_cast<double>(swaps);
  };
  SwapCost cost;
  cost.waiting_us = microseconds(record.wait_ticks);
  cost.total_us =
      microseconds(record.pager_ticks) - microseconds(record.charged_ticks) - cost.waiting_us;
  cost.crypto_us = microseconds(record.crypto_ticks);
  cost.mapping_us = microseconds(record.mapping_ticks);
  cost.rest_us = cost.total_us - cost.crypto_us - cost.mapping_us;
  return cost;
}

Json RunJson(const RunRecord& record, const RunFacts& facts) {
  const std::string complaint = Text(record.complaint);
  return {{"program", facts.program},
          {"exit_code", facts.exit_code},
          {"signal", facts.ending.signal == 0 ? Json() : Json(facts.ending.signal)},
          {"state", StateName(record.state)},
          {"complaint", complaint.empty() ? Json() : Json(complaint)},
          {"limit_bytes", SizeOrNull(record.limit_bytes)},
          {"charge_cycles", record.charge_cycles},
          {"share", record.share_name[0] == 0 ? Json() : Json(Text(record.share_name))},
          {"quota_bytes", record.quota_bytes == 0 ? Json() : Json(record.quota_bytes)},
          {"faults", record.faults.load()},
          {"loads", record.loads.load()},
          {"evictions", record.evictions.load()},
          {"zero_fills", record.zero_fills.load()},
          {"soft_faults", record.soft_faults.load()},
          {"sealed_bytes", record.sealed_bytes.load()},
          {"opened_bytes", record.opened_bytes.load()},
          {"resident_bytes", record.resident_bytes.load()},
          {"resident_peak_bytes", record.resident_peak_bytes.load()},
          {"pinned_bytes", record.pinned_bytes.load()},
          {"wanted_bytes", record.wanted_bytes.load()},
          {"peak_wanted_bytes", record.peak_wanted_bytes.load()},
          {"code_bytes", record.code_bytes.load()},
          {"outside_bytes", record.outside_bytes.load()},
          {"runtime_bytes", record.runtime_bytes.load()},
          {"wall_seconds", facts.wall_seconds},
          {"user_seconds", Seconds(facts.ending.usage.ru_utime)},
          {"system_seconds", Seconds(facts.ending.usage.ru_stime)},
          {"pager_seconds", Seconds(record, record.pager_ticks)},
          {"crypto_seconds", Seconds(record, record.crypto_ticks)},
          {"mapping_seconds", Seconds(record, record.mapping_ticks)},
          {"charged_seconds", Seconds(record, record.charged_ticks)},
          {"wait_seconds", Seconds(record, record.wait_ticks)},
          {"ticks_per_second", record.ticks_per_second},
          {"swap", SwapJson(record)},
          {"system_calls", record.system_calls.load()},
          {"children", record.children.load()},
          {"threads_peak", record.threads_peak.load()},
          {"threads", ThreadsJson(record)},
          {"marks_count", record.marks_count.load()},
          {"marks", MarksJson(record)}};
}

std::string RunText(const RunRecord& record, const RunFacts& facts) {
  const std::string limit =
      record.limit_bytes == kUnlimited ? "unlimited" : FormatBytes(record.limit_bytes);
  std::string text = fmt::format(
      "epcrun: limit {}; resident at most {} ({} pinned at the end), wanted {}\n"
      "epcrun: {} faults: {} loads, {} evictions, {} first touches; {} sealed, {} opened\n"
      "epcrun: {:.3f} s; threads were {:.3f} s in the pager",
      limit, FormatBytes(record.resident_peak_bytes), FormatBytes(record.pinned_bytes),
      FormatBytes(record.peak_wanted_bytes), record.faults.load(), record.loads.load(),
      record.evictions.load(), record.zero_fills.load(), FormatBytes(record.sealed_bytes),
      FormatBytes(record.opened_bytes), facts.wall_seconds, Seconds(record, record.pager_ticks));
  if (record.wait_ticks > 0) {
    text +=
        fmt::format(", {:.3f} s of it waiting for each other", Seconds(record, record.wait_ticks));
  }
  if (record.charge_cycles > 0) {
    text += fmt::format(" ({:.3f} s spun for --charge-cycles {})",
                        Seconds(record, record.charged_ticks), record.charge_cycles);
  }
  return text + "\n" + SwapText(record) + ThreadsText(record) + OutsideText(record);
}

Status CheckJsonPath(const std::string& path) {
  if (path.empty() || path == "-") return {};
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (access(folder.empty() ? "." : folder.c_str(), W_OK) == 0) return {};
  return Error{Code::kUnavailable, fmt::format("--json {}: {}", path, std::strerror(errno))};
}

Status WriteJson(const std::string& path, const Json& json) {
  const std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  const bool to_stdout = path == "-";
  const std::string temporary = fmt::format("{}.{}.tmp", path, getpid());
  std::FILE* const file = to_stdout ? stdout : std::fopen(temporary.c_str(), "we");
  if (file == nullptr) return FileError(temporary);
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const bool flushed = (to_stdout ? std::fflush(file) : std::fclose(file)) == 0;
  if (!written || !flushed) {
    const Error error = FileError(to_stdout ? "stdout" : temporary);
    if (!to_stdout) std::remove(temporary.c_str());
    return error;
  }
  if (to_stdout || std::rename(temporary.c_str(), path.c_str()) == 0) return {};
  const Error error = FileError(path);
  std::remove(temporary.c_str());
  return error;
}

}  // namespace coracle::epc
