#include "characterize/advice/advice.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "characterize/advice/advice_buffers.h"
#include "characterize/program/access_run.h"
#include "characterize/reuse/distance_histogram.h"
#include "characterize/reuse/reuse_stack.h"

namespace coracle::characterize {
namespace {

/// Smaller mappings are not worth a line.
constexpr uint64_t kMappingBytesLeast = 1 << 20;
constexpr size_t kMappingsAdvised = 3;
constexpr uint64_t kCallsLeast = 1000;
constexpr double kFewReloads = 0.1;
constexpr uint64_t kLayerLoadsLeast = 1000;

/// Page distances in all memory that an enclave holds.
DistanceHistogram InsideDistances(const Json& page_level) {
  DistanceHistogram distances;
  for (const auto& [kind, histogram] : page_level.at("kinds").items()) {
    if (IsOutside(kind)) continue;
    distances.Add(kCold, histogram.at("cold").get<double>());
    for (const Json& bucket : histogram.at("histogram")) {
      distances.Add(bucket[0].get<uint64_t>(), bucket[1].get<double>());
    }
  }
  return distances;
}

/// Distinct bytes inside, in pages, whether they were first touched in what is counted or before.
/// By kind of memory; where a plan's pool holds one kind after the other on the same pages, by
/// mapping.
uint64_t TouchedBytes(const Json& findings) {
  const Json& kinds = findings.at("memory");
  const bool is_planned = std::any_of(kinds.begin(), kinds.end(), [](const Json& kind) {
    return kind.at("kind") == "weights" || kind.at("kind") == "activations";
  });
  uint64_t bytes = 0;
  for (const Json& part : is_planned ? findings.at("mappings") : kinds) {
    if (!IsOutside(part.at("kind").get<std::string>())) {
      bytes += Whole(part, "touched_bytes");
    }
  }
  return bytes;
}

uint64_t KneeOf(const DistanceHistogram& distances, uint64_t touched_bytes) {
  // Of a part of a run, whose pages may have been touched before it, none may be cold.
  const double touched =
      std::max(static_cast<double>(touched_bytes / kPageBytes), distances.cold());
  const uint64_t pages = distances.CapacityFor(touched * (1 + kFewReloads));
  // Distances count what lies outside too, but what holds all pages inside loads none again.
  return pages == kCold ? 0 : std::min(pages << kPageShift, touched_bytes);
}

void AdviseSize(const Json& findings, std::vector<Advice>& advice) {
  const DistanceHistogram distances = InsideDistances(findings.at("reuse").at(0));
  const uint64_t touched_bytes = TouchedBytes(findings);
  const uint64_t knee = KneeOf(distances, touched_bytes) >> kPageShift;
  if (knee < 2) return;
  const bool holds_all = knee << kPageShift >= touched_bytes;
  advice.push_back({Remedy::kSize,
                    fmt::format("give it {} of secure memory beside what is pinned",
                                FormatBytes(knee << kPageShift)),
                    fmt::format("knee of the page miss curve (LRU); it touches {} in all",
                                FormatBytes(touched_bytes)),
                    fmt::format("{:.0f} page loads there, {:.0f} at half of it",
                                holds_all ? 0 : distances.Misses(knee) - distances.cold(),
                                distances.Misses(knee / 2) - distances.cold()),
                    {}});
}

/// An engine that says which layer it computes: where most pages are loaded.
void AdviseLayers(const Json& findings, std::vector<Advice>& advice) {
  const Json& sizes = findings.at("epc").at("sizes");
  if (!findings.contains("layers") || sizes.empty()) return;
  size_t least = 0;
  for (size_t i = 1; i < sizes.size(); ++i) {
    if (sizes[i].at("bytes") < sizes[least].at("bytes")) least = i;
  }
  const auto all = Whole(sizes[least], "loads");
  const Json* most = nullptr;
  const auto loads = [least](const Json& layer) {
    return layer.at("loads").at(least).get<uint64_t>();
  };
  for (const Json& layer : findings.at("layers")) {
    if (most == nullptr || loads(layer) > loads(*most)) most = &layer;
  }
  if (most == nullptr || loads(*most) < kLayerLoadsLeast) return;
  const std::string epc = FormatBytes(Whole(sizes[least], "bytes"));
  advice.push_back({Remedy::kSize,
                    fmt::format("in an EPC of {} plan it for less memory (--memory)", epc),
                    fmt::format("layer {} alone touches {}", most->at("name").get<std::string>(),
                                FormatBytes(most->at("touched_bytes").get<uint64_t>())),
                    fmt::format("{} of {} page loads are its own", loads(*most), all),
                    {}});
}

std::string NameOf(const Json& mapping) {
  const std::string name = mapping.at("name").get<std::string>();
  return fmt::format("mapping {} ({}{}{}, {})", Whole(mapping, "index"),
                     mapping.at("kind").get<std::string>(), name.empty() ? "" : " ", name,
                     FormatBytes(Whole(mapping, "touched_bytes")));
}

/// Memory that lies outside loads no page and needs no room inside. What is allocated on the heap
/// is advised on by allocation instead.
bool IsToBeAdvisedOn(const Json& mapping, const Json& findings) {
  const auto kind = mapping.at("kind").get<std::string>();
  if (IsOutside(kind)) return false;
  const bool has_objects = findings.contains("objects") && !findings.at("objects").empty();
  return !has_objects || (kind != "heap" && kind != "anonymous");
}

/// Memory that is walked over again and again from end to end, further than an EPC reaches.
void AdviseBands(const Json& findings, std::vector<Advice>& advice) {
  uint64_t least_epc = UINT64_MAX;
  for (const Json& size : findings.at("epc").at("sizes")) {
    least_epc = std::min(least_epc, Whole(size, "bytes"));
  }
  size_t given = 0;
  for (const Json& mapping : findings.at("mappings")) {
    if (!IsToBeAdvisedOn(mapping, findings)) continue;
    const uint64_t distance = Whole(mapping, "page_distance_median") << kPageShift;
    const uint64_t returns = Whole(mapping, "page_returns");
    const uint64_t bytes = Whole(mapping, "touched_bytes");
    if (bytes < kMappingBytesLeast || distance <= least_epc || given == kMappingsAdvised) continue;
    ++given;
    advice.push_back({Remedy::kBand,
                      fmt::format("{}: work on a band of it at a time", NameOf(mapping)),
                      fmt::format("median reuse distance {}, more than an EPC of {}",
                                  FormatBytes(distance), FormatBytes(least_epc)),
                      fmt::format("spares up to {} page loads", returns / 2),
                      {}});
  }
}

/// Memory that is read no more than once: it needs no room of its own.
void AdviseStreams(const Json& findings, std::vector<Advice>& advice) {
  size_t given = 0;
  for (const Json& mapping : findings.at("mappings")) {
    if (!IsToBeAdvisedOn(mapping, findings)) continue;
    const uint64_t bytes = Whole(mapping, "touched_bytes");
    const uint64_t read = Whole(mapping, "read_bytes");
    if (bytes < kMappingBytesLeast || read < bytes / 2 || read > bytes + bytes / 4) continue;
    if (given++ == kMappingsAdvised) break;
    advice.push_back({Remedy::kStream,
                      fmt::format("{}: stream it through a small buffer", NameOf(mapping)),
                      fmt::format("{} read of it in all: each byte once", FormatBytes(read)),
                      fmt::format("frees {}", FormatBytes(bytes)),
                      {}});
  }
}

void AdviseCalls(const Json& findings, std::vector<Advice>& advice) {
  uint64_t all = 0;
  const Json* most = nullptr;
  for (const Json& call : findings.at("system_calls")) {
    all += Whole(call, "calls");
    if (most == nullptr || call.at("calls") > most->at("calls")) most = &call;
  }
  if (all < kCallsLeast) return;
  const uint64_t calls = most->at("calls").get<uint64_t>();
  advice.push_back({Remedy::kCalls,
                    fmt::format("make fewer calls of {}: gather them, or answer them inside",
                                most->at("name").get<std::string>()),
                    fmt::format("{} of {} system calls", calls, all),
                    fmt::format("spares {:.0f} % of the exits from an enclave",
                                100.0 * static_cast<double>(calls) / static_cast<double>(all)),
                    {}});
}

void AdvisePinned(const Json& findings, std::vector<Advice>& advice) {
  const uint64_t pinned = Whole(findings.at("epc"), "pinned_bytes");
  for (const Json& size : findings.at("epc").at("sizes")) {
    const uint64_t bytes = Whole(size, "bytes");
    if (pinned * 4 < bytes) continue;
    advice.push_back({Remedy::kLibraries,
                      "load fewer or smaller libraries, or link statically",
                      fmt::format("{} of written library data stay in an EPC of {}",
                                  FormatBytes(pinned), FormatBytes(bytes)),
                      fmt::format("frees up to {}", FormatBytes(pinned)),
                      {}});
    return;
  }
}

}  // namespace

bool IsOutside(const std::string& kind) { return kind == "file" || kind == "shared"; }

uint64_t KneeBytes(const Json& findings) {
  return KneeOf(InsideDistances(findings.at("reuse").at(0)), TouchedBytes(findings));
}

Json AdviceJson(const std::vector<Advice>& advice) {
  Json json = Json::array();
  for (const Advice& one : advice) {
    json.push_back(
        {{"what", one.what}, {"number", one.number}, {"effect", one.effect}, {"checked", nullptr}});
  }
  return json;
}

std::vector<Advice> Advise(const Json& findings) {
  std::vector<Advice> advice;
  AdviseSize(findings, advice);
  AdviseLayers(findings, advice);
  const std::vector<Advice> buffers = AdviseBuffers(findings);
  advice.insert(advice.end(), buffers.begin(), buffers.end());
  AdviseBands(findings, advice);
  AdviseStreams(findings, advice);
  AdvisePinned(findings, advice);
  AdviseCalls(findings, advice);
  return advice;
}

}  // namespace coracle::characterize
