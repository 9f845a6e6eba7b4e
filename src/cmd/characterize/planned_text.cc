#include "cmd/characterize/planned_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "characterize/analysis/findings.h"

namespace coracle::cmd {
namespace {

using characterize::Advice;
using characterize::Whole;

/// Distances are known to 1/32 (characterize/reuse/distance_histogram.h).
constexpr double kKneeTolerance = 1 + 1.0 / 32;

Json LoadsJson(const Json& findings) {
  Json loads = Json::array();
  for (const Json& size : findings.at("epc").at("sizes")) {
    loads.push_back({{"epc_bytes", size.at("bytes")}, {"loads", size.at("loads")}});
  }
  return loads;
}

/// What the engine touches of secure memory beside its pool: its stack, its own objects.
uint64_t BesideThePool(const Json& findings) {
  uint64_t bytes = 0;
  for (const Json& one : findings.at("memory")) {
    const auto kind = one.at("kind").get<std::string>();
    if (!characterize::IsOutside(kind) && kind != "weights" && kind != "activations" &&
        kind != "workspace") {
      bytes += Whole(one, "touched_bytes");
    }
  }
  return bytes;
}

/// At each EPC that holds `bytes`: at most a tenth of its pages are loaded, as at a knee.
bool LoadsLittleFrom(uint64_t bytes, const Json& findings) {
  const Json& sizes = findings.at("epc").at("sizes");
  return std::all_of(sizes.begin(), sizes.end(), [bytes](const Json& size) {
    return Whole(size, "bytes") < bytes ||
           Whole(size, "loads") <= bytes / characterize::kPageBytes / 10;
  });
}

/// Of LoadsJson(): the smallest size. Requires: there is one.
const Json& AtSmallest(const Json& loads) {
  return *std::ranges::min_element(loads, {},
                                   [](const Json& size) { return Whole(size, "epc_bytes"); });
}

}  // namespace

std::string PlannedText::RoleOf(const Advice& advice) const {
  if (advice.positions.empty()) return "";
  const Json& object = report_.at("objects").at(advice.positions[0]);
  return object.contains("role") ? object.at("role").get<std::string>() : "";
}

std::vector<const LayerProfile*> PlannedText::LayersOf(const Advice& advice) const {
  std::vector<const LayerProfile*> found;
  for (const LayerProfile& layer : profile_.layers) {
    const bool named = std::ranges::any_of(advice.positions, [&](size_t i) {
      const Json& object = report_.at("objects").at(i);
      return object.contains("layer") && object.at("layer") == layer.title;
    });
    if (named) found.push_back(&layer);
  }
  return found;
}

std::string PlannedText::AboutIm2col() const {
  std::vector<graph::NodeIndex> nodes;
  for (const LayerProfile& layer : profile_.layers) {
    if (layer.kind == LayerKind::kConvolution) nodes.push_back(layer.node);
  }
  return fmt::format(
      "never made: windows slide over the input itself, with scratch memory of at most {}",
      FormatBytes(planned_.WorkspaceOf(nodes)));
}

std::string PlannedText::AboutOutputs(const std::vector<const LayerProfile*>& layers) const {
  uint64_t whole_bytes = 0;
  uint64_t ring_bytes = 0;
  uint64_t ringed_bytes = 0;
  size_t rings = 0;
  for (const LayerProfile* layer : layers) {
    const PlannedModel::Kept kept = planned_.OutputOf(layer->node);
    if (kept.whole) {
      whole_bytes = std::max(whole_bytes, kept.bytes);
      continue;
    }
    ++rings;
    ring_bytes += kept.bytes;
    ringed_bytes += layer->output_bytes;
  }
  std::string text;
  if (rings > 0) {
    text = fmt::format("{} of {} kept as rings of rows: {} instead of {}", rings, layers.size(),
                       FormatBytes(ring_bytes), FormatBytes(ringed_bytes));
  }
  if (rings < layers.size()) {
    text += fmt::format("{}{} whole in a pool that they share one after the other, {} at most",
                        text.empty() ? "" : "; ", layers.size() - rings, FormatBytes(whole_bytes));
  }
  return text;
}

std::string PlannedText::AboutWeights(const std::vector<const LayerProfile*>& layers) const {
  uint64_t slot_bytes = 0;
  uint64_t held_bytes = 0;
  size_t streamed = 0;
  for (const LayerProfile* layer : layers) {
    const PlannedModel::Kept kept = planned_.WeightsOf(layer->node);
    uint64_t& most = kept.whole ? held_bytes : slot_bytes;
    most = std::max(most, kept.bytes);
    streamed += kept.whole ? 0 : 1;
  }
  std::string text;
  if (streamed > 0) {
    text = fmt::format("{} of {} streamed through a slot of {}", streamed, layers.size(),
                       FormatBytes(slot_bytes));
  }
  if (streamed < layers.size()) {
    text +=
        fmt::format("{}{} opened whole, each for its step only, {} at most",
                    text.empty() ? "" : "; ", layers.size() - streamed, FormatBytes(held_bytes));
  }
  return text;
}

std::string PlannedText::About(const Advice& advice) const {
  const std::string role = RoleOf(advice);
  if (role.empty()) return "";
  if (role == "im2col workspace") return AboutIm2col();
  if (advice.remedy == characterize::Remedy::kDrop) return "never made: it only predicts";
  const std::vector<const LayerProfile*> layers = LayersOf(advice);
  if (layers.empty()) return "";
  if (role == "output") return AboutOutputs(layers);
  return role == "weights" ? AboutWeights(layers) : "";
}

Json PlannedText::PlanAdvice() const {
  const uint64_t knee = characterize::KneeBytes(report_);
  return {
      {"what", fmt::format("plan the model with Coracle for {} of secure memory",
                           FormatBytes(planned_.budget_bytes()))},
      {"number", fmt::format("the program's knee is at {}; the plan's pool takes {}, and {} would "
                             "be the least",
                             FormatBytes(knee), FormatBytes(planned_.pool_bytes()),
                             FormatBytes(planned_.least_bytes()))},
      {"effect",
       fmt::format(
           "no page loads once that, a stack and the libraries' data fit; a prediction opens {} of "
           "sealed weights",
           FormatBytes(planned_.opened_bytes()))},
      {"checked", nullptr}};
}

Json PlannedText::CheckedPlan(const Json& after, uint64_t pool_bytes) const {
  const uint64_t knee_before = characterize::KneeBytes(report_);
  const uint64_t knee_after = characterize::KneeBytes(after);
  const uint64_t beside = BesideThePool(after);
  const uint64_t predicted = pool_bytes + beside;
  const bool as_planned =
      static_cast<double>(knee_after) <= kKneeTolerance * static_cast<double>(predicted) &&
      LoadsLittleFrom(predicted, after);
  return {
      {"before", {{"knee_bytes", knee_before}, {"loads", LoadsJson(report_)}}},
      {"after",
       {{"knee_bytes", knee_after},
        {"pool_bytes", pool_bytes},
        {"beside_bytes", beside},
        {"loads", LoadsJson(after)}}},
      {"as_planned", as_planned},
      {"text", fmt::format("moves the knee from {} to {}, {} (predicted at most {}: a pool of {} "
                           "and {} beside it)",
                           FormatBytes(knee_before), FormatBytes(knee_after),
                           as_planned ? "as planned" : "NOT as planned", FormatBytes(predicted),
                           FormatBytes(pool_bytes), FormatBytes(beside))}};
}

Json PlannedText::CheckedBuffers(const Advice& advice, const Json& after) const {
  uint64_t bytes = 0;
  Json loads = LoadsJson(report_);
  for (Json& size : loads) size["loads"] = 0;
  for (const size_t i : advice.positions) {
    const Json& object = report_.at("objects").at(i);
    bytes += Whole(object, "bytes");
    for (size_t k = 0; k < std::min(loads.size(), object.at("loads").size()); ++k) {
      loads[k]["loads"] = Whole(loads[k], "loads") + object.at("loads")[k].get<uint64_t>();
    }
  }
  const Json after_loads = LoadsJson(after);
  std::string text = "the plan was run";
  if (!loads.empty()) {
    text = fmt::format("{} page loads at an EPC of {} before; the whole plan has {}",
                       Whole(AtSmallest(loads), "loads"),
                       FormatBytes(Whole(AtSmallest(loads), "epc_bytes")),
                       Whole(AtSmallest(after_loads), "loads"));
  }
  return {{"before", {{"bytes", bytes}, {"loads", loads}}},
          {"after", {{"loads", after_loads}}},
          {"text", text}};
}

}  // namespace coracle::cmd
