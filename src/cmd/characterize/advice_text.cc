#include "cmd/characterize/advice_text.h"

#include <fmt/format.h>

#include "base/units.h"
#include "characterize/analysis/findings.h"
#include "cmd/characterize/grouped.h"

namespace coracle::cmd {
namespace {

using characterize::Whole;

/// Page loads of the program and of the plan that was tried in its place.
std::string LoadsBesidePlan(const Json& checked) {
  if (!checked.at("after").contains("knee_bytes")) return "";
  const Json& before = checked.at("before").at("loads");
  const Json& after = checked.at("after").at("loads");
  if (before.empty()) return "";
  std::string text = fmt::format("    {:<12}{:>16}{:>16}\n", "EPC", "loads", "with the plan");
  for (size_t i = 0; i < before.size(); ++i) {
    text += fmt::format("    {:<12}{:>16}{:>16}\n", FormatBytes(Whole(before[i], "epc_bytes")),
                        Grouped(Whole(before[i], "loads")), Grouped(Whole(after.at(i), "loads")));
  }
  return text;
}

}  // namespace

std::string ModelText(const Json& findings) {
  if (!findings.contains("model")) return "";
  const Json& model = findings.at("model");
  const Json& recognized = model.at("recognized");
  std::string text = fmt::format(
      "\nmodel {}: {} layers; {} whole, {} planned with each weight opened once, {} at least\n",
      model.at("name").get<std::string>(), model.at("layers").size(),
      FormatBytes(Whole(model, "unplanned_bytes")), FormatBytes(Whole(model, "single_pass_bytes")),
      FormatBytes(Whole(model, "least_bytes")));
  if (Whole(recognized, "bytes_of_all") != 0) {
    text += fmt::format("{} of the largest allocations are recognized as its own: {} of {}\n",
                        Whole(recognized, "objects"), FormatBytes(Whole(recognized, "bytes")),
                        FormatBytes(Whole(recognized, "bytes_of_all")));
  }
  if (model.contains("not_checked")) {
    text += fmt::format("NOT CHECKED by running the plan: {}\n",
                        model.at("not_checked").get<std::string>());
  }
  return text;
}

std::string AdviceText(const Json& findings) {
  if (findings.at("advice").empty()) return "";
  std::string text = "\nadvice\n";
  for (const Json& advice : findings.at("advice")) {
    text +=
        fmt::format("- {}\n    {}: {}\n", advice.at("what").get<std::string>(),
                    advice.at("number").get<std::string>(), advice.at("effect").get<std::string>());
    if (advice.contains("planned")) {
      text += fmt::format("    Coracle's plan: {}\n", advice.at("planned").get<std::string>());
    }
    if (!advice.contains("checked") || advice.at("checked").is_null()) continue;
    const Json& checked = advice.at("checked");
    text += fmt::format("    checked: {}\n", checked.at("text").get<std::string>());
    text += LoadsBesidePlan(checked);
  }
  return text;
}

}  // namespace coracle::cmd
