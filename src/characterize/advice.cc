#include "characterize/advice.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "characterize/access_run.h"

namespace coracle::characterize {
namespace {

/// Smaller mappings are not worth a line.
constexpr uint64_t kMappingBytesLeast = 1 << 20;
constexpr size_t kMappingsAdvised = 3;
constexpr uint64_t kCallsLeast = 1000;
constexpr double kFewReloads = 0.1;

double ReloadsAt(const Json& page_level, uint64_t capacity) {
  double reloads = 0;
  for (const Json& point : page_level.at("miss_curve")) {
    if (point[0].get<uint64_t>() > capacity) break;
    reloads = point[1].get<double>() - page_level.at("cold").get<double>();
  }
  return reloads;
}

void AdviseSize(const Json& findings, std::vector<Advice>& advice) {
  const Json& pages = findings.at("reuse").at(0);
  const uint64_t knee = KneePages(pages);
  if (knee < 2) return;
  const double at_half = ReloadsAt(pages, knee / 2);
  const double at_knee = ReloadsAt(pages, knee);
  advice.push_back(
      {fmt::format("give it {} of secure memory beside what is pinned",
                   FormatBytes(knee << kPageShift)),
       fmt::format("knee of the page miss curve (LRU); it touches {} in all",
                   FormatBytes(findings.at("peak_bytes").get<uint64_t>())),
       fmt::format("{:.0f} page loads there, {:.0f} at half of it", at_knee, at_half)});
}

std::string NameOf(const Json& mapping) {
  const std::string name = mapping.at("name").get<std::string>();
  return fmt::format("mapping {} ({}{}{}, {})", mapping.at("index").get<uint64_t>(),
                     mapping.at("kind").get<std::string>(), name.empty() ? "" : " ", name,
                     FormatBytes(mapping.at("touched_bytes").get<uint64_t>()));
}

/// Memory that is walked over again and again from end to end, further than an EPC reaches.
void AdviseBands(const Json& findings, std::vector<Advice>& advice) {
  uint64_t least_epc = UINT64_MAX;
  for (const Json& size : findings.at("epc").at("sizes")) {
    least_epc = std::min(least_epc, size.at("bytes").get<uint64_t>());
  }
  size_t given = 0;
  for (const Json& mapping : findings.at("mappings")) {
    const uint64_t distance = mapping.at("page_distance_median").get<uint64_t>() << kPageShift;
    const uint64_t returns = mapping.at("page_returns").get<uint64_t>();
    const uint64_t bytes = mapping.at("touched_bytes").get<uint64_t>();
    if (bytes < kMappingBytesLeast || distance <= least_epc || given == kMappingsAdvised) continue;
    ++given;
    advice.push_back({fmt::format("{}: work on a band of it at a time", NameOf(mapping)),
                      fmt::format("median reuse distance {}, more than an EPC of {}",
                                  FormatBytes(distance), FormatBytes(least_epc)),
                      fmt::format("spares up to {} page loads", returns / 2)});
  }
}

/// Memory that is read no more than once: it needs no room of its own.
void AdviseStreams(const Json& findings, std::vector<Advice>& advice) {
  size_t given = 0;
  for (const Json& mapping : findings.at("mappings")) {
    const uint64_t bytes = mapping.at("touched_bytes").get<uint64_t>();
    const uint64_t read = mapping.at("read_bytes").get<uint64_t>();
    if (bytes < kMappingBytesLeast || read < bytes / 2 || read > bytes + bytes / 4) continue;
    if (given++ == kMappingsAdvised) break;
    advice.push_back({fmt::format("{}: stream it through a small buffer", NameOf(mapping)),
                      fmt::format("{} read of it in all: each byte once", FormatBytes(read)),
                      fmt::format("frees {}", FormatBytes(bytes))});
  }
}

void AdviseCalls(const Json& findings, std::vector<Advice>& advice) {
  uint64_t all = 0;
  const Json* most = nullptr;
  for (const Json& call : findings.at("system_calls")) {
    all += call.at("calls").get<uint64_t>();
    if (most == nullptr || call.at("calls") > most->at("calls")) most = &call;
  }
  if (all < kCallsLeast) return;
  const uint64_t calls = most->at("calls").get<uint64_t>();
  advice.push_back({fmt::format("make fewer calls of {}: gather them, or answer them inside",
                                most->at("name").get<std::string>()),
                    fmt::format("{} of {} system calls", calls, all),
                    fmt::format("spares {:.0f} % of the exits from an enclave",
                                100.0 * static_cast<double>(calls) / static_cast<double>(all))});
}

void AdvisePinned(const Json& findings, std::vector<Advice>& advice) {
  const uint64_t pinned = findings.at("epc").at("pinned_bytes").get<uint64_t>();
  for (const Json& size : findings.at("epc").at("sizes")) {
    const uint64_t bytes = size.at("bytes").get<uint64_t>();
    if (pinned * 4 < bytes) continue;
    advice.push_back({"load fewer or smaller libraries, or link statically",
                      fmt::format("{} of written library data stay in an EPC of {}",
                                  FormatBytes(pinned), FormatBytes(bytes)),
                      fmt::format("frees up to {}", FormatBytes(pinned))});
    return;
  }
}

}  // namespace

uint64_t KneePages(const Json& page_level) {
  const double cold = page_level.at("cold").get<double>();
  for (const Json& point : page_level.at("miss_curve")) {
    if (point[1].get<double>() - cold <= cold * kFewReloads) return point[0].get<uint64_t>();
  }
  return 0;
}

std::vector<Advice> Advise(const Json& findings) {
  std::vector<Advice> advice;
  AdviseSize(findings, advice);
  AdviseBands(findings, advice);
  AdviseStreams(findings, advice);
  AdvisePinned(findings, advice);
  AdviseCalls(findings, advice);
  return advice;
}

}  // namespace coracle::characterize
