#include <fmt/format.h>

#include <memory>
#include <string>

#include "base/units.h"
#include "cmd/coracle/verbs.h"
#include "cmd/support/describe.h"
#include "cmd/support/sealed_file.h"
#include "crypto/owner_key.h"
#include "plan/plan.h"

namespace coracle::cmd {
namespace {

/// " (set by layer conv1)"; nothing for a model without layers.
std::string SettingLayer(const graph::Graph& graph, const plan::LeastBudget& least) {
  if (least.node == NoIndex<graph::NodeIndex>()) return "";
  return fmt::format(" (set by layer {})", graph.node(least.node).name);
}

Result<Report> Inspect(const ModelArgument& argument) {
  TRY_ASSIGN(const OpenedArgument opened, OpenArgument(argument, host::BlobAccess::kView));
  const seal::Manifest& manifest = opened.opened.model->manifest();
  const graph::Graph& graph = manifest.graph;
  const plan::LeastBudget least = plan::FindLeastBudget(graph);
  const uint64_t unplanned = plan::UnplannedBytes(graph);
  Report report;
  report.json = {{"name", manifest.name},
                 {"version", manifest.version},
                 {"identity", crypto::Hex(opened.opened.model->identity())},
                 {"inputs", PortsJson(graph.inputs)},
                 {"outputs", PortsJson(graph.outputs)},
                 {"weight_bytes", WeightBytes(graph)},
                 {"sealed_weight_bytes", SealedWeightBytes(graph)},
                 {"multiply_adds", MultiplyAdds(graph)},
                 {"unplanned_peak_bytes", unplanned},
                 {"least_budget_bytes", least.bytes},
                 {"layers", LayersJson(graph)}};
  report.text = LayerTable(graph);
  for (const graph::Port& port : graph.inputs)
    report.text += fmt::format("input  {} {}\n", port.name, port.shape.ToString());
  for (const graph::Port& port : graph.outputs)
    report.text += fmt::format("output {} {}\n", port.name, port.shape.ToString());
  report.text += fmt::format(
      "{} layers, {} of weights ({} sealed), {:.2f} GMACs\nAll in memory at once: {}. Least "
      "budget: {}{}.\n",
      graph.nodes.size(), FormatBytes(WeightBytes(graph)), FormatBytes(SealedWeightBytes(graph)),
      static_cast<double>(MultiplyAdds(graph)) / 1e9, FormatBytes(unplanned),
      FormatBytes(least.bytes), SettingLayer(graph, least));
  return report;
}

}  // namespace

void AddInspect(CLI::App& app, Console& console) {
  CLI::App* const verb =
      app.add_subcommand("inspect", "Show a model's layers, bytes and least budget");
  const auto argument = std::make_shared<ModelArgument>();
  verb->add_option("MODEL", argument->path, "A sealed model, .onnx, or .cfg with --weights-file")
      ->required();
  verb->add_option("--key", argument->key_path, "The owner key of a sealed model");
  AddSealOptions(verb, argument->seal_options);
  verb->footer(
      "Example:\n  coracle inspect model.sealed --key owner.key\n  coracle inspect model.onnx "
      "--shape x=1x3x48x320");
  console.Register(verb, [argument] { return Inspect(*argument); });
}

}  // namespace coracle::cmd
