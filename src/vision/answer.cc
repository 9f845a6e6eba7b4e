#include "vision/answer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "vision/json_fields.h"

namespace coracle::vision {
namespace {

struct JsonWriter {
  nlohmann::json operator()(const TopAnswer& answer) const {
    auto top = nlohmann::json::array();
    for (const RankedLabel& entry : answer.top) {
      top.push_back(
          {{"label", ToUtf8(entry.label)}, {"score", entry.score}, {"index", entry.index}});
    }
    return {{"top", std::move(top)}};
  }
  nlohmann::json operator()(const TextAnswer& answer) const {
    return {{"text", ToUtf8(answer.text)}, {"score", answer.score}};
  }
  nlohmann::json operator()(const BoxAnswer& answer) const {
    auto detections = nlohmann::json::array();
    for (const Detection& found : answer.detections) {
      detections.push_back(
          {{"label", ToUtf8(found.label)},
           {"score", found.score},
           {"index", found.index},
           {"box", {found.box.x, found.box.y, found.box.width, found.box.height}}});
    }
    return {{"detections", std::move(detections)}};
  }
  nlohmann::json operator()(const HeatmapAnswer& answer) const {
    return {{"heatmap",
             {{"width", answer.width},
              {"height", answer.height},
              {"min", answer.least},
              {"max", answer.greatest}}}};
  }
};

struct TextWriter {
  std::string operator()(const TopAnswer& answer) const {
    std::string lines;
    for (const RankedLabel& entry : answer.top) {
      lines += fmt::format("{:6.2f} %  {} ({})\n", entry.score * 100, entry.label, entry.index);
    }
    return lines;
  }
  std::string operator()(const TextAnswer& answer) const {
    return fmt::format("\"{}\"  {:.2f} %\n", answer.text, answer.score * 100);
  }
  std::string operator()(const BoxAnswer& answer) const {
    if (answer.detections.empty()) return "nothing detected\n";
    std::string lines;
    for (const Detection& found : answer.detections) {
      lines +=
          fmt::format("{:6.2f} %  {}  at {:.0f},{:.0f}  {:.0f}x{:.0f}\n", found.score * 100,
                      found.label, found.box.x, found.box.y, found.box.width, found.box.height);
    }
    return lines;
  }
  std::string operator()(const HeatmapAnswer& answer) const {
    return fmt::format("heat map {}x{}, values {:.4g} to {:.4g}\n", answer.width, answer.height,
                       answer.least, answer.greatest);
  }
};

}  // namespace

nlohmann::json Answer::ToJson() const { return std::visit(JsonWriter(), value); }

std::string Answer::ToText() const { return std::visit(TextWriter(), value); }

}  // namespace coracle::vision
