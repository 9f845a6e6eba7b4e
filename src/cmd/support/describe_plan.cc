#include "cmd/support/describe_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "cmd/support/describe.h"
#include "graph/tensor_bytes.h"

namespace coracle::cmd {
namespace {

bool IsIdle(const plan::Step& step) { return step.parts.front().elided; }

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

/// Weight bytes that one prediction opens in the step.
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

/// When tensors live, in steps that do something.
class BufferLister {
 public:
  BufferLister(const graph::Graph& graph, const plan::Plan& plan) : graph_(graph), plan_(plan) {
    births_.assign(graph.tensors.size(), -1);
    deaths_.assign(graph.tensors.size(), -1);
    readers_.resize(graph.tensors.size());
    int now = -1;
    for (const plan::Step& step : plan.steps) {
      if (!IsIdle(step)) ++now;
      for (const plan::Part& part : step.parts) {
        const graph::Node& node = graph.node(part.node);
        births_[Position(node.output)] = deaths_[Position(node.output)] = std::max(now, 0);
        for (const graph::TensorIndex input : node.inputs) {
          deaths_[Position(input)] = std::max(now, 0);
          readers_[Position(input)] = node.name;
        }
      }
    }
    after_ = now + 1;
    for (const graph::Port& port : graph.outputs) {
      deaths_[Position(port.tensor)] = after_;
      readers_[Position(port.tensor)] = "the caller";
    }
  }

  Json List() {
    for (size_t i = 0; i < graph_.tensors.size(); ++i) {
      AddTensor(static_cast<graph::TensorIndex>(i));
    }
    Add("inputs' staging", "staging", plan_.input_staging, -1, -1,
        "one block of an input while it is sealed");
    Add("outputs' staging", "staging", plan_.output_staging, after_, after_,
        "one block of an output while it is opened");
    int now = -1;
    for (const plan::Step& step : plan_.steps) {
      if (!IsIdle(step)) AddStep(step, ++now);
    }
    return std::move(buffers_);
  }

 private:
  void Add(const std::string& name, std::string_view kind, plan::PoolRange range, int first,
           int last, const std::string& why) {
    if (range.bytes == 0) return;
    buffers_.push_back({{"name", name},
                        {"kind", kind},
                        {"offset", range.offset},
                        {"bytes", range.bytes},
                        {"first_step", first},
                        {"last_step", last},
                        {"why", why}});
  }

  void AddTensor(graph::TensorIndex tensor) {
    const size_t i = Position(tensor);
    const plan::TensorPlan& home = plan_.tensors[i];
    const std::string& name = graph_.tensor(tensor).name;
    if (home.home == plan::Home::kOutside) {
      Add(name + " counters", "counters", home.counters, births_[i], deaths_[i],
          fmt::format("the nonces of its blocks of {} rows, sealed outside", home.block_rows));
    }
    if (home.home != plan::Home::kPool) return;
    const graph::RowShape rows = graph::RowsOf(graph_.shape(tensor));
    const uint64_t bytes = (plan_.batch * rows.AllRows() - 1) * home.place.row_stride_bytes +
                           (rows.pixels - 1) * home.place.pixel_stride_bytes +
                           graph::PixelBytes(graph_, tensor);
    Add(name, "tensor", {home.place.offset, bytes}, births_[i], deaths_[i],
        readers_[i].empty() ? "nobody reads it"
                            : fmt::format("whole, until {} has read it", readers_[i]));
  }

  void AddStep(const plan::Step& step, int now) {
    for (const plan::Window& window : step.windows) AddWindow(step, window, now);
    for (size_t worker = 0; worker < step.slots.size(); ++worker) {
      Add(fmt::format("slot {}", worker), "slot", step.slots[worker], now, now,
          "one opened weight chunk at a time");
    }
    for (size_t worker = 0; worker < step.workspaces.size(); ++worker) {
      Add(fmt::format("workspace {}", worker), "workspace", step.workspaces[worker], now, now,
          "the kernel's own");
    }
    for (const plan::Part& part : step.parts) {
      const std::string& name = graph_.node(part.node).name;
      if (part.weights == plan::WeightsMode::kPinned) {
        Add(name + " weights", "pinned", part.held, -1, after_, "kept open between predictions");
      } else {
        Add(name + " weights", "held", part.held, now, now, "opened once for the whole step");
      }
    }
  }

  void AddWindow(const plan::Step& step, const plan::Window& window, int now) {
    const uint64_t bytes = window.ring_rows * window.place.row_stride_bytes;
    const uint64_t rows = graph::RowsOf(graph_.shape(window.tensor)).AllRows();
    const std::string& name = graph_.tensor(window.tensor).name;
    const bool inner = plan_.tensors[Position(window.tensor)].home == plan::Home::kStep;
    const bool made = std::ranges::any_of(step.parts, [&](const plan::Part& part) {
      return graph_.node(part.node).output == window.tensor;
    });
    const std::string_view kind = inner ? "ring" : made ? "sink" : "source";
    const std::string_view why = inner  ? "all that its readers still need"
                                 : made ? "until they are sealed outside"
                                        : "opened from outside when they are needed";
    Add(name + " rows", kind, {window.place.offset, bytes}, now, now,
        fmt::format("{} of {} rows: {}", window.ring_rows, rows, why));
  }

  const graph::Graph& graph_;
  const plan::Plan& plan_;
  std::vector<int> births_;
  std::vector<int> deaths_;
  std::vector<std::string> readers_;  // the last one's name
  int after_ = 0;
  Json buffers_ = Json::array();
};

}  // namespace

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
  return BufferLister(graph, plan).List();
}

}  // namespace coracle::cmd
