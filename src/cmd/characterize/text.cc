#include "cmd/characterize/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/units.h"
#include "characterize/analysis/findings.h"
#include "cmd/characterize/advice_text.h"
#include "cmd/characterize/grouped.h"
#include "cmd/characterize/object_tables.h"

namespace coracle::cmd {
namespace {

using characterize::kPageBytes;
using characterize::Whole;

constexpr size_t kCallsShown = 12;
constexpr size_t kMappingsShown = 8;
/// What a swap of a page costs in hardware (Orenbach et al., Eleos, EuroSys '17; Taassori et al.,
/// VAULT, ASPLOS '18).
constexpr double kSwapCyclesLeast = 12'000;
constexpr double kSwapCyclesMost = 40'000;
constexpr uint64_t kCacheMebibytes[] = {1, 8, 32};

double Percent(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

std::string Head(const Json& findings) {
  const Json& accesses = findings.at("accesses");
  const Json& patterns = findings.at("patterns");
  const uint64_t reads = Whole(accesses, "reads");
  const uint64_t writes = Whole(accesses, "writes");
  const uint64_t walked = Whole(patterns, "repeated") + Whole(patterns, "sequential") +
                          Whole(patterns, "strided") + Whole(patterns, "irregular");
  std::string text = fmt::format("{}: {}\n", findings.at("program").get<std::string>(),
                                 findings.at("ending").get<std::string>());
  if (!findings.at("complete").get<bool>()) {
    text += fmt::format("PARTIAL: what follows is of its first {:.1f} s\n",
                        findings.at("seconds").get<double>());
  }
  text += fmt::format(
      "{} accesses of at most 8 bytes (traced in {:.1f} s): {:.0f} % reads ({}), {:.0f} % writes "
      "({})\n",
      Grouped(Whole(accesses, "count")), findings.at("seconds").get<double>(),
      Percent(reads, reads + writes), FormatBytes(Whole(accesses, "read_bytes")),
      Percent(writes, reads + writes), FormatBytes(Whole(accesses, "written_bytes")));
  text += fmt::format(
      "an instruction's next access: {:.0f} % the same address, {:.0f} % sequential, {:.0f} % "
      "strided, {:.0f} % irregular\n",
      Percent(Whole(patterns, "repeated"), walked), Percent(Whole(patterns, "sequential"), walked),
      Percent(Whole(patterns, "strided"), walked), Percent(Whole(patterns, "irregular"), walked));
  return text;
}

std::string Transitions(const Json& findings) {
  std::vector<const Json*> calls;
  uint64_t all = 0;
  for (const Json& call : findings.at("system_calls")) {
    calls.push_back(&call);
    all += Whole(call, "calls");
  }
  std::stable_sort(calls.begin(), calls.end(), [](const Json* a, const Json* b) {
    return Whole(*a, "calls") > Whole(*b, "calls");
  });
  uint64_t vdso = 0;
  for (const Json& call : findings.at("vdso_calls")) vdso += Whole(call, "calls");
  std::string text = fmt::format(
      "\ntransitions: {} system calls; threads started: {}; signals handled: {}; reads of a clock "
      "without a call (vDSO): {}\n",
      Grouped(all), Whole(findings, "threads_started"), Whole(findings.at("signals"), "handled"),
      Grouped(vdso));
  if (const uint64_t processes = Whole(findings, "processes_started"); processes != 0) {
    text += fmt::format("  {} child process{} started, which {} not followed\n", processes,
                        processes == 1 ? "" : "es", processes == 1 ? "was" : "were");
  }
  uint64_t shown = 0;
  for (size_t i = 0; i < std::min(calls.size(), kCallsShown); ++i) {
    shown += Whole(*calls[i], "calls");
    text += fmt::format("{:>12} {:<20}{}\n", Grouped(Whole(*calls[i], "calls")),
                        calls[i]->at("name").get<std::string>(),
                        Whole(*calls[i], "errors") == 0
                            ? ""
                            : fmt::format("{} failed", Whole(*calls[i], "errors")));
  }
  if (all > shown) text += fmt::format("{:>12} others\n", Grouped(all - shown));
  return text;
}

std::string VolumeColumns(const Json& json) {
  return fmt::format("{:>10} {:>16} {:>16} {:>10} {:>10}",
                     FormatBytes(Whole(json, "touched_bytes")), Grouped(Whole(json, "reads")),
                     Grouped(Whole(json, "writes")), FormatBytes(Whole(json, "read_bytes")),
                     FormatBytes(Whole(json, "written_bytes")));
}

std::string Memory(const Json& findings) {
  std::string text = fmt::format("\n{:<24}{:>10} {:>16} {:>16} {:>10} {:>10} {:>12}\n", "memory",
                                 "touched", "reads", "writes", "read", "written", "median reuse");
  for (const Json& kind : findings.at("memory")) {
    text += fmt::format("{:<24}{}\n", kind.at("kind").get<std::string>(), VolumeColumns(kind));
  }
  text += fmt::format("code that was executed: {}\nlargest mappings:\n",
                      FormatBytes(Whole(findings, "code_bytes")));
  size_t shown = 0;
  for (const Json& mapping : findings.at("mappings")) {
    if (shown++ == kMappingsShown) break;
    std::string name = mapping.at("name").get<std::string>();
    name = name.empty() ? mapping.at("kind").get<std::string>() : name.substr(name.rfind('/') + 1);
    text +=
        fmt::format("{:>5} {:<18}{} {:>12}\n", Whole(mapping, "index"), name.substr(0, 17),
                    VolumeColumns(mapping),
                    Whole(mapping, "page_returns") == 0
                        ? "never"
                        : "< " + FormatBytes(Whole(mapping, "page_distance_median") * kPageBytes));
  }
  return text;
}

/// The least distance that a share of all touches stays below, in bytes.
std::string Quantile(const Json& level, double share) {
  const double wanted = share * level.at("touches").get<double>();
  double seen = 0;
  for (const Json& bucket : level.at("histogram")) {
    seen += bucket[1].get<double>();
    if (seen >= wanted) {
      return FormatBytes((bucket[0].get<uint64_t>() + 1) * Whole(level, "granule_bytes"));
    }
  }
  return "first";
}

std::string Reuse(const Json& findings) {
  std::string text =
      fmt::format("\n{:<12}{:>18}{:>16}   reuse distance of {:>7}{:>10}{:>10}{:>10}\n", "reuse",
                  "touches", "first touches", "50 %", "90 %", "99 %", "99.9 %");
  for (const Json& level : findings.at("reuse")) {
    text +=
        fmt::format("{:<12}{:>18.0f}{:>16.0f}   {:>25}{:>10}{:>10}{:>10}{}\n",
                    FormatBytes(Whole(level, "granule_bytes")), level.at("touches").get<double>(),
                    level.at("cold").get<double>(), Quantile(level, 0.5), Quantile(level, 0.9),
                    Quantile(level, 0.99), Quantile(level, 0.999),
                    level.at("exact").get<bool>()
                        ? ""
                        : fmt::format("  sampled {:g}, within {:.1f} points",
                                      level.at("sample_rate").get<double>(),
                                      100 * level.at("expected_error").get<double>()));
  }
  const Json& lines = findings.at("lines");
  const uint64_t count = Whole(lines, "once") + Whole(lines, "twice") + Whole(lines, "many");
  text += fmt::format(
      "lines of 64 bytes: {:.0f} % touched once, {:.0f} % twice, {:.0f} % more often (bytes "
      "accessed over bytes)\n",
      Percent(Whole(lines, "once"), count), Percent(Whole(lines, "twice"), count),
      Percent(Whole(lines, "many"), count));
  return text;
}

double MissesAt(const Json& level, uint64_t capacity) {
  double misses = level.at("touches").get<double>();
  for (const Json& point : level.at("miss_curve")) {
    if (point[0].get<uint64_t>() > capacity) break;
    misses = point[1].get<double>();
  }
  return misses;
}

std::string CacheTraffic(const Json& findings) {
  std::string text;
  for (const Json& level : findings.at("reuse")) {
    if (Whole(level, "granule_bytes") != 64) continue;
    for (const uint64_t mebibytes : kCacheMebibytes) {
      const double misses = MissesAt(level, mebibytes << 14);
      text += fmt::format("{}{} past a cache of {} MiB", text.empty() ? "" : ", ",
                          FormatBytes(static_cast<uint64_t>(misses) * 64), mebibytes);
    }
  }
  return text.empty() ? "" : "traffic for a memory-encryption engine (LRU): " + text + "\n";
}

std::string WorkingSets(const Json& findings) {
  const Json& windows = findings.at("working_set");
  uint64_t largest = 0;
  double sum = 0;
  for (const Json& pages : windows.at("pages")) {
    largest = std::max(largest, pages.get<uint64_t>());
    sum += pages.get<double>();
  }
  const double count = static_cast<double>(std::max<size_t>(windows.at("pages").size(), 1));
  return fmt::format(
      "\nworking set in windows of {} accesses: {} on average, {} at most; {} in all at once\n",
      Grouped(Whole(windows, "window_accesses")),
      FormatBytes(static_cast<uint64_t>(sum / count) * kPageBytes),
      FormatBytes(largest * kPageBytes), FormatBytes(Whole(findings, "peak_bytes")));
}

/// Columns of what epcrun counted, beside `size`'s prediction; empty where nothing was run.
std::string MeasuredColumns(const Json& size) {
  const auto measured = size.find("measured");
  if (measured == size.end()) return "";
  if (measured->contains("error")) return fmt::format("{:>16}{:>12}", "failed", "");
  const Json& difference = measured->at("difference");
  return fmt::format(
      "{:>16}{:>12}", Grouped(Whole(*measured, "loads")),
      difference.is_null() ? "-" : fmt::format("{:+.2f} %", 100 * difference.get<double>()));
}

/// Why nothing was counted, each reason once.
std::string MeasuringErrors(const Json& sizes) {
  std::string text;
  std::string last;
  for (const Json& size : sizes) {
    const auto measured = size.find("measured");
    if (measured == size.end() || !measured->contains("error")) continue;
    const std::string error = measured->at("error").get<std::string>();
    if (error == last) continue;
    text += fmt::format("at {}: not measured: {}\n", FormatBytes(Whole(size, "bytes")), error);
    last = error;
  }
  return text;
}

std::string Epc(const Json& findings) {
  const Json& epc = findings.at("epc");
  const Json& sizes = epc.at("sizes");
  if (sizes.empty()) return "";
  const bool is_measured = sizes[0].contains("measured");
  std::string text = fmt::format(
      "\n{:<12}{:>16}{}{:>16}{:>16}   {}\n", "EPC", is_measured ? "loads predicted" : "loads",
      is_measured ? fmt::format("{:>16}{:>12}", "loads measured", "difference") : "", "loads (LRU)",
      "evictions", "cycles at 12,000 to 40,000 a load");
  for (const Json& size : sizes) {
    const uint64_t loads = Whole(size, "loads");
    const double billions = static_cast<double>(loads) * 1e-9;
    text += fmt::format("{:<12}{:>16}{}{:>16}{:>16}   {:.3g} to {:.3g} billion{}\n",
                        FormatBytes(Whole(size, "bytes")), Grouped(loads), MeasuredColumns(size),
                        Grouped(Whole(size, "lru_loads")), Grouped(Whole(size, "evictions")),
                        billions * kSwapCyclesLeast, billions * kSwapCyclesMost,
                        Whole(size, "bytes") <= Whole(epc, "pinned_bytes")
                            ? "  (what is pinned does not fit)"
                            : "");
  }
  text += MeasuringErrors(sizes);
  text += fmt::format("predicted for epcrun's policy; {} first touches load nothing",
                      Grouped(Whole(epc, "first_touches")));
  const uint64_t pinned_bytes = Whole(epc, "pinned_bytes");
  return text + (pinned_bytes == 0 ? "\n"
                                   : fmt::format("; {} of written library data are pinned\n",
                                                 FormatBytes(pinned_bytes)));
}

}  // namespace

std::string CharacterizationText(const Json& findings) {
  return Head(findings) + Transitions(findings) + Memory(findings) + ObjectTable(findings) +
         CallPathTable(findings) + SmallAllocations(findings) + FunctionTable(findings) +
         Reuse(findings) + CacheTraffic(findings) + WorkingSets(findings) + Epc(findings) +
         ModelText(findings) + AdviceText(findings);
}

}  // namespace coracle::cmd
