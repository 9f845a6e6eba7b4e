#include "cmd/support/pool_buffers.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "graph/tensor_bytes.h"

namespace coracle::cmd {
namespace {

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

  std::vector<PoolBuffer> List() {
    for (size_t i = 0; i < graph_.tensors.size(); ++i) {
      AddTensor(static_cast<graph::TensorIndex>(i));
    }
    Add("inputs' staging", BufferKind::kStaging, plan_.input_staging, -1, -1,
        "one block of an input while it is sealed");
    Add("outputs' staging", BufferKind::kStaging, plan_.output_staging, after_, after_,
        "one block of an output while it is opened");
    for (size_t worker = 0; worker < plan_.decoding.size(); ++worker) {
      Add(fmt::format("decoding {}", worker), BufferKind::kDecoding, plan_.decoding[worker], -1,
          after_, "coded weight chunks become plain here");
    }
    int now = -1;
    for (const plan::Step& step : plan_.steps) {
      if (!IsIdle(step)) AddStep(step, ++now);
    }
    return std::move(buffers_);
  }

 private:
  void Add(const std::string& name, BufferKind kind, plan::PoolRange range, int first, int last,
           const std::string& why) {
    if (range.bytes == 0) return;
    buffers_.push_back({name, kind, range, first, last, why});
  }

  void AddTensor(graph::TensorIndex tensor) {
    const size_t i = Position(tensor);
    const plan::TensorPlan& home = plan_.tensors[i];
    const std::string& name = graph_.tensor(tensor).name;
    if (home.home == plan::Home::kOutside) {
      Add(name + " counters", BufferKind::kCounters, home.counters, births_[i], deaths_[i],
          fmt::format("the nonces of its blocks of {} rows, sealed outside", home.block_rows));
    }
    if (home.home != plan::Home::kPool) return;
    const graph::RowShape rows = graph::RowsOf(graph_.shape(tensor));
    const uint64_t bytes = (plan_.batch * rows.AllRows() - 1) * home.place.row_stride_bytes +
                           (rows.pixels - 1) * home.place.pixel_stride_bytes +
                           graph::PixelBytes(graph_, tensor);
    Add(name, BufferKind::kTensor, {home.place.offset, bytes}, births_[i], deaths_[i],
        readers_[i].empty() ? "nobody reads it"
                            : fmt::format("whole, until {} has read it", readers_[i]));
  }

  void AddStep(const plan::Step& step, int now) {
    for (const plan::Window& window : step.windows) AddWindow(step, window, now);
    for (size_t worker = 0; worker < step.slots.size(); ++worker) {
      Add(fmt::format("slot {}", worker), BufferKind::kSlot, step.slots[worker], now, now,
          "one opened weight chunk at a time");
    }
    for (size_t worker = 0; worker < step.workspaces.size(); ++worker) {
      Add(fmt::format("workspace {}", worker), BufferKind::kWorkspace, step.workspaces[worker], now,
          now, "the kernel's own");
    }
    for (const plan::Part& part : step.parts) {
      const std::string& name = graph_.node(part.node).name;
      if (part.weights == plan::WeightsMode::kPinned) {
        Add(name + " weights", BufferKind::kPinned, part.held, -1, after_,
            "kept open between predictions");
      } else {
        Add(name + " weights", BufferKind::kHeld, part.held, now, now,
            "opened once for the whole step");
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
    const BufferKind kind = inner  ? BufferKind::kRing
                            : made ? BufferKind::kSink
                                   : BufferKind::kSource;
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
  std::vector<PoolBuffer> buffers_;
};

}  // namespace

std::string_view BufferKindName(BufferKind kind) {
  switch (kind) {
    case BufferKind::kTensor:
      return "tensor";
    case BufferKind::kRing:
      return "ring";
    case BufferKind::kSource:
      return "source";
    case BufferKind::kSink:
      return "sink";
    case BufferKind::kSlot:
      return "slot";
    case BufferKind::kWorkspace:
      return "workspace";
    case BufferKind::kHeld:
      return "held";
    case BufferKind::kPinned:
      return "pinned";
    case BufferKind::kDecoding:
      return "decoding";
    case BufferKind::kCounters:
      return "counters";
    case BufferKind::kStaging:
      return "staging";
  }
  CORACLE_CHECK(false);
}

bool IsIdle(const plan::Step& step) { return step.parts.front().elided; }

std::vector<PoolBuffer> PoolBuffers(const graph::Graph& graph, const plan::Plan& plan) {
  return BufferLister(graph, plan).List();
}

}  // namespace coracle::cmd
