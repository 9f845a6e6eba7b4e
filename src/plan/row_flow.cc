#include "plan/row_flow.h"

#include <algorithm>

#include "base/checked.h"
#include "graph/tensor_bytes.h"
#include "plan/on_demand.h"

namespace coracle::plan {
namespace {

using graph::Graph;
using graph::Node;
using graph::TensorIndex;

/// One reader's firings: when, the end of what each reads, and the first row that it or a later one
/// reads.
struct Reading {
  std::vector<uint32_t> when;
  std::vector<uint32_t> ends;
  std::vector<uint32_t> begins;  // one more than firings: the last is past all rows
};

}  // namespace

bool HasImages(const Graph& graph, const Node& node) {
  if (graph::RowsOf(graph.shape(node.output)).images != 1) return true;
  return std::any_of(node.inputs.begin(), node.inputs.end(), [&](TensorIndex input) {
    return graph::RowsOf(graph.shape(input)).images != 1;
  });
}

kernels::RowRange RowsRead(const Graph& graph, const Node& node, uint32_t operand,
                           kernels::RowRange rows) {
  if (HasImages(graph, node)) return {0, AllRows(graph, node.inputs[operand])};
  return kernels::InputRows(graph, node, operand, rows);
}

Uses UsesOf(const Graph& graph) {
  Uses uses;
  uses.makers.assign(graph.tensors.size(), kNoNode);
  uses.readers.resize(graph.tensors.size());
  for (NodeNumber number = 0; number < graph.nodes.size(); ++number) {
    const Node& node = graph.nodes[number];
    uses.makers[Position(node.output)] = number;
    for (uint32_t operand = 0; operand < node.inputs.size(); ++operand) {
      uses.readers[Position(node.inputs[operand])].push_back({number, operand});
    }
  }
  return uses;
}

/// The whole network as one cascade (see RunOnDemand).
class RowFlow::Builder {
 public:
  explicit Builder(RowFlow& flow) : flow_(flow), graph_(flow.graph_), done_(graph_.nodes.size()) {
    for (const Node& node : graph_.nodes) rows_.push_back(AllRows(graph_, node.output));
  }

  uint32_t Done(NodeNumber node) const { return done_[node]; }
  uint32_t Rows(NodeNumber node) const { return rows_[node]; }
  bool IsRoot(NodeNumber node) const {
    return flow_.uses_.readers[Position(graph_.nodes[node].output)].empty();
  }
  void Fire(NodeNumber number) {
    done_[number] = std::min(done_[number] + flow_.firing_rows_[number], rows_[number]);
    flow_.when_[number].push_back(now_++);
  }

  /// The maker of an operand that has to fire before `number` can.
  NodeNumber MissingMaker(NodeNumber number) const {
    const Node& node = graph_.nodes[number];
    const kernels::RowRange rows{
        done_[number], std::min(done_[number] + flow_.firing_rows_[number], rows_[number])};
    for (uint32_t operand = 0; operand < node.inputs.size(); ++operand) {
      const NodeNumber maker = flow_.uses_.makers[Position(node.inputs[operand])];
      if (maker == kNoNode || done_[maker] == rows_[maker]) continue;
      if (RowsRead(graph_, node, operand, rows).end > done_[maker]) return maker;
    }
    return kNoNode;
  }

 private:
  RowFlow& flow_;
  const Graph& graph_;
  std::vector<uint32_t> done_;
  std::vector<uint32_t> rows_;
  uint32_t now_ = 0;
};

RowFlow::RowFlow(const Graph& graph, const Uses& uses, uint32_t rows)
    : graph_(graph), uses_(uses), when_(graph.nodes.size()) {
  for (const Node& node : graph.nodes) {
    const uint32_t all = AllRows(graph, node.output);
    const uint64_t whole = RoundUpToMultiple(rows, kernels::RowGranule(node));
    const auto some = static_cast<uint32_t>(std::min<uint64_t>(whole, all));
    firing_rows_.push_back(HasImages(graph, node) ? all : some);
  }
  Builder builder(*this);
  RunOnDemand(0, static_cast<NodeNumber>(graph.nodes.size()), builder);
}

namespace {

Reading ReadingOf(const Graph& graph, const Use& use, std::span<const uint32_t> when,
                  uint32_t firing_rows) {
  const Node& node = graph.nodes[use.node];
  const uint32_t rows = AllRows(graph, node.output);
  Reading reading;
  reading.when.assign(when.begin(), when.end());
  const auto count = static_cast<uint32_t>(when.size());
  reading.ends.resize(count);
  reading.begins.assign(size_t{count} + 1, UINT32_MAX);
  for (uint32_t firing = count; firing-- > 0;) {
    const uint32_t begin = firing * firing_rows;
    const kernels::RowRange read =
        RowsRead(graph, node, use.operand, {begin, std::min(begin + firing_rows, rows)});
    reading.ends[firing] = read.end;
    reading.begins[firing] = read.count() == 0 ? reading.begins[firing + 1]
                                               : std::min(read.begin, reading.begins[firing + 1]);
  }
  return reading;
}

}  // namespace

uint32_t RowFlow::RowsKept(TensorIndex tensor, std::span<const Use> readers, uint32_t grain) const {
  const auto first = readers.empty() ? 0 : readers.data() - uses_.readers[Position(tensor)].data();
  const std::array<uint32_t, 4> question{static_cast<uint32_t>(Position(tensor)),
                                         static_cast<uint32_t>(first),
                                         static_cast<uint32_t>(readers.size()), grain};
  const auto known = kept_.find(question);
  if (known != kept_.end()) return known->second;
  return kept_.emplace(question, CountRowsKept(tensor, readers, grain)).first->second;
}

uint32_t RowFlow::CountRowsKept(TensorIndex tensor, std::span<const Use> readers,
                                uint32_t grain) const {
  const uint32_t rows = AllRows(graph_, tensor);
  std::vector<Reading> readings;
  readings.reserve(readers.size());
  for (const Use& use : readers) {
    readings.push_back(ReadingOf(graph_, use, when_[use.node], firing_rows_[use.node]));
  }
  std::vector<uint32_t> next(readers.size());
  uint32_t made = 0;
  uint32_t kept = std::min(grain, rows);
  while (true) {
    size_t first = readers.size();
    for (size_t i = 0; i < readers.size(); ++i) {
      if (next[i] == readings[i].when.size()) continue;
      if (first == readers.size() || readings[i].when[next[i]] < readings[first].when[next[first]])
        first = i;
    }
    if (first == readers.size()) return kept;
    const auto wanted = static_cast<uint32_t>(
        std::min<uint64_t>(RoundUpToMultiple(readings[first].ends[next[first]], grain), rows));
    made = std::max(made, wanted);
    uint32_t needed = made;
    for (size_t i = 0; i < readers.size(); ++i) {
      needed = std::min(needed, readings[i].begins[next[i]]);
    }
    kept = std::max(kept, made - needed);
    ++next[first];
  }
}

int64_t RowFlow::BytesBelow(TensorIndex read, std::span<const Use> readers,
                            TensorIndex made) const {
  const NodeNumber maker = uses_.makers[Position(made)];
  const auto made_row = static_cast<int64_t>(RowBytes(graph_, made));
  const auto read_row = static_cast<int64_t>(RowBytes(graph_, read));
  const uint32_t rows = AllRows(graph_, made);
  std::vector<Reading> readings;
  for (const Use& use : readers) {
    readings.push_back(ReadingOf(graph_, use, when_[use.node], firing_rows_[use.node]));
  }
  std::vector<uint32_t> next(readers.size());
  int64_t below = INT64_MIN;
  for (uint32_t firing = 0; firing < when_[maker].size(); ++firing) {
    const uint32_t now = when_[maker][firing];
    uint32_t needed = UINT32_MAX;
    for (size_t i = 0; i < readers.size(); ++i) {
      while (next[i] < readings[i].when.size() && readings[i].when[next[i]] < now) ++next[i];
      needed = std::min(needed, readings[i].begins[next[i]]);
    }
    if (needed == UINT32_MAX) break;
    const int64_t written = std::min<int64_t>(int64_t{firing + 1} * firing_rows_[maker], rows);
    below = std::max(below, written * made_row - int64_t{needed} * read_row);
  }
  return below;
}

}  // namespace coracle::plan
