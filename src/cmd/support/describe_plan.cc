#include "cmd/support/describe_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "cmd/support/describe.h"
#include "cmd/support/pool_buffers.h"
#include "graph/tensor_bytes.h"

namespace coracle::cmd {
namespace {

/// Most actions that compute one part.
uint32_t Bands(const plan::Step& step) {
  std::vector<uint32_t> computes(step.parts.size());
  for (const plan::Action& action : step.actions) {
    if (action.kind == plan::ActionKind::kCompute) ++computes[action.index];
  }
  return *std::max_element(computes.begin(), computes.end());
}

/// The parts' mode, or "mixed".
std::string_view Weights(const plan::Step& step) {
  plan::WeightsMode mode = plan::WeightsMode::kNone;
  for (const plan::Part& part : step.parts) {
    if (part.weights == plan::WeightsMode::kNone || part.weights == mode) continue;
    if (mode != plan::WeightsMode::kNone) return "mixed";
    mode = part.weights;
  }
  return plan::WeightsModeName(mode);
}

std::string Layers(const graph::Graph& graph, const plan::Step& step) {
  const graph::Node& node = graph.node(step.parts.front().node);
  const std::string& first = node.name;
  if (step.parts.size() == 1) {
    const auto* conv = std::get_if<graph::Conv>(&node.attrs);
    if (conv == nullptr || conv->algorithm == graph::ConvAlgorithm::kDirect) return first;
    return fmt::format("{} ({})", first, graph::AlgorithmName(conv->algorithm));
  }
  return fmt::format("{} .. {} ({})", first, graph.node(step.parts.back().node).name,
                     step.parts.size());
}

/// How often the step's actions are done.
uint32_t TurnsOf(const plan::Plan& plan, const plan::Step& step) {
  return step.turns == plan::Turns::kOneByOne ? plan.batch : 1;
}

bool IsPort(const graph::Graph& graph, graph::TensorIndex tensor) {
  const auto is = [tensor](const graph::Port& port) { return port.tensor == tensor; };
  return std::ranges::any_of(graph.inputs, is) || std::ranges::any_of(graph.outputs, is);
}

/// Bytes sealed and opened of tensors that are neither inputs nor outputs.
uint64_t SpilledBytes(const graph::Graph& graph, const plan::Plan& plan, const plan::Step& step) {
  uint64_t bytes = 0;
  for (const plan::Action& action : step.actions) {
    if (action.kind == plan::ActionKind::kCompute) continue;
    const graph::TensorIndex tensor = step.windows[action.index].tensor;
    if (!IsPort(graph, tensor))
      bytes += (action.end - action.begin) * graph::RowBytes(graph, tensor);
  }
  return TurnsOf(plan, step) * bytes;
}

}  // namespace

uint64_t OpenedBytes(const graph::Graph& graph, const plan::Plan& plan, const plan::Step& step) {
  uint64_t bytes = 0;
  for (const plan::Part& part : step.parts) {
    if (part.weights == plan::WeightsMode::kHeld)
      bytes += graph.node(part.node).weights.TotalBytes();
  }
  for (const plan::Action& action : step.actions) {
    if (action.kind != plan::ActionKind::kCompute) continue;
    const plan::Part& part = step.parts[action.index];
    if (part.weights == plan::WeightsMode::kStreamed) {
      bytes += TurnsOf(plan, step) * graph.node(part.node).weights.TotalBytes();
    }
  }
  return bytes;
}

std::string StepTable(const graph::Graph& graph, const plan::Plan& plan,
                      std::span<const double> measured_ms) {
  const bool convoy = plan.batch > 1;
  std::string table =
      fmt::format("{:>4}  {:<44} {:<7} {:>5}{} {:<8} {:>7} {:>10} {:>10} {:>10}{}\n", "step",
                  "layers", "form", "bands", convoy ? " inputs    " : "", "weights", "workers",
                  "bytes", "opened", "ms", measured_ms.empty() ? "" : "   measured");
  int number = 0;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const plan::Step& step = plan.steps[i];
    if (IsIdle(step)) continue;
    table += fmt::format("{:>4}  {:<44.44} {:<7} {:>5}{} {:<8} {:>7} {:>10} {:>10} {:>10.3f}",
                         number++, Layers(graph, step), plan::FormName(step.form), Bands(step),
                         convoy ? fmt::format(" {:<10}", plan::TurnsName(step.turns)) : "",
                         Weights(step), step.workers, FormatBytes(step.live_bytes),
                         FormatBytes(OpenedBytes(graph, plan, step)), step.predicted_ms);
    table += measured_ms.empty() ? "\n" : fmt::format(" {:>10.3f}\n", measured_ms[i]);
  }
  return table;
}

Json StepsJson(const graph::Graph& graph, const plan::Plan& plan,
               std::span<const double> measured_ms) {
  Json steps = Json::array();
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const plan::Step& step = plan.steps[i];
    if (IsIdle(step)) continue;
    Json layers = Json::array();
    Json algorithms = Json::array();
    for (const plan::Part& part : step.parts) {
      layers.push_back(graph.node(part.node).name);
      algorithms.push_back(AlgorithmJson(graph.node(part.node)));
    }
    Json& made = steps.emplace_back(Json{{"form", plan::FormName(step.form)},
                                         {"layers", layers},
                                         {"algorithms", algorithms},
                                         {"bands", Bands(step)},
                                         {"turns", plan::TurnsName(step.turns)},
                                         {"weights", Weights(step)},
                                         {"workers", step.workers},
                                         {"bytes", step.live_bytes},
                                         {"opened_bytes", OpenedBytes(graph, plan, step)},
                                         {"spilled_bytes", SpilledBytes(graph, plan, step)},
                                         {"predicted_ms", step.predicted_ms}});
    if (!measured_ms.empty()) made["measured_ms"] = measured_ms[i];
  }
  return steps;
}

Json BuffersJson(const graph::Graph& graph, const plan::Plan& plan) {
  Json buffers = Json::array();
  for (const PoolBuffer& buffer : PoolBuffers(graph, plan)) {
    buffers.push_back({{"name", buffer.name},
                       {"kind", BufferKindName(buffer.kind)},
                       {"offset", buffer.range.offset},
                       {"bytes", buffer.range.bytes},
                       {"first_step", buffer.first_step},
                       {"last_step", buffer.last_step},
                       {"why", buffer.why}});
  }
  return buffers;
}

}  // namespace coracle::cmd
