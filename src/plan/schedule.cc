#include "plan/schedule.h"

#include <algorithm>

#include "base/checked.h"
#include "graph/tensor_bytes.h"
#include "plan/on_demand.h"

namespace coracle::plan {
namespace {

using graph::Node;
using graph::TensorIndex;

constexpr uint32_t kNoRing = UINT32_MAX;

class Scheduler {
 public:
  Scheduler(const World& world, const Stretch& stretch, uint32_t flow)
      : world_(world),
        graph_(*world.graph),
        stretch_(stretch),
        done_(stretch.end - stretch.begin),
        ring_of_(graph_.tensors.size(), kNoRing) {
    for (NodeNumber number = stretch.begin; number < stretch.end; ++number) {
      const Node& node = graph_.nodes[number];
      const uint32_t rows = AllRows(graph_, node.output);
      rows_.push_back(rows);
      firing_rows_.push_back(flow >= kWholeFlow ? rows : (*world.flows)[flow].firing_rows(number));
      for (const TensorIndex input : node.inputs) AddRing(input);
      AddRing(node.output);
    }
    ends_.resize(schedule_.rings.size());
    sealed_.resize(schedule_.rings.size());
  }

  Schedule Run() {
    RunOnDemand(stretch_.begin, stretch_.end, *this);
    for (Ring& ring : schedule_.rings) {
      const uint64_t rows =
          ring.block_rows == 0 ? ring.rows : RoundUpToMultiple(ring.rows, ring.block_rows);
      ring.rows = static_cast<uint32_t>(std::min<uint64_t>(rows, AllRows(graph_, ring.tensor)));
    }
    return std::move(schedule_);
  }

  // What RunOnDemand asks for.
  uint32_t Done(NodeNumber number) const { return done_[number - stretch_.begin]; }
  uint32_t Rows(NodeNumber number) const { return rows_[number - stretch_.begin]; }
  bool IsRoot(NodeNumber number) const { return ReadersHere(graph_.nodes[number].output).empty(); }
  /// Opens what the next firing reads from outside; the maker here that has to fire before it.
  NodeNumber MissingMaker(NodeNumber number) {
    const Node& node = graph_.nodes[number];
    const kernels::RowRange rows = NextRows(number);
    for (uint32_t operand = 0; operand < node.inputs.size(); ++operand) {
      const TensorIndex tensor = node.inputs[operand];
      const NodeNumber maker = MakerOf(tensor);
      if (!IsHere(maker) || Done(maker) == Rows(maker)) continue;
      if (RowsRead(graph_, node, operand, rows).end > Done(maker)) return maker;
    }
    for (uint32_t operand = 0; operand < node.inputs.size(); ++operand) {
      const TensorIndex tensor = node.inputs[operand];
      const uint32_t ring = ring_of_[Position(tensor)];
      if (ring == kNoRing || IsHere(MakerOf(tensor))) continue;
      const uint32_t wanted = RowsRead(graph_, node, operand, rows).end;
      if (wanted <= ends_[ring]) continue;
      const auto end = static_cast<uint32_t>(std::min<uint64_t>(
          RoundUpToMultiple(wanted, schedule_.rings[ring].block_rows), AllRows(graph_, tensor)));
      schedule_.actions.push_back({ActionKind::kOpen, ring, ends_[ring], end});
      Extend(ring, end);
    }
    return kNoNode;
  }

  void Fire(NodeNumber number) {
    const Node& node = graph_.nodes[number];
    const kernels::RowRange rows = NextRows(number);
    if (HasImages(graph_, node)) {
      schedule_.actions.push_back({ActionKind::kCompute, 0, 0, OutputRows(graph_, node)});
    } else {
      schedule_.actions.push_back(
          {ActionKind::kCompute, number - stretch_.begin, rows.begin, rows.end});
    }
    if (stretch_.overlay_units_max > 0 && stretch_.overlay.made == node.output) Part(rows.end);
    const uint32_t ring = ring_of_[Position(node.output)];
    if (ring != kNoRing) Extend(ring, rows.end);
    done_[number - stretch_.begin] = rows.end;
    if (ring != kNoRing && schedule_.rings[ring].block_rows > 0) Seal(ring, rows.end);
  }

 private:
  bool IsHere(NodeNumber number) const {
    return number != kNoNode && number >= stretch_.begin && number < stretch_.end;
  }
  std::span<const Use> ReadersHere(TensorIndex tensor) const {
    return ReadersIn(*world_.uses, tensor, stretch_.begin, stretch_.end);
  }
  NodeNumber MakerOf(TensorIndex tensor) const { return world_.uses->makers[Position(tensor)]; }

  void AddRing(TensorIndex tensor) {
    const bool inner = IsInner(world_, tensor, stretch_.begin, stretch_.end) &&
                       graph::RowsOf(graph_.shape(tensor)).images == 1;
    const uint32_t block_rows = world_.block_rows[Position(tensor)];
    if (ring_of_[Position(tensor)] != kNoRing || (!inner && block_rows == 0)) return;
    ring_of_[Position(tensor)] = static_cast<uint32_t>(schedule_.rings.size());
    schedule_.rings.push_back({tensor, 1, inner ? 0 : block_rows});
  }

  /// The next rows of the node.
  kernels::RowRange NextRows(NodeNumber number) {
    const uint32_t begin = Done(number);
    return {begin, std::min(begin + firing_rows_[number - stretch_.begin], Rows(number))};
  }

  /// The first row that some reader here still reads; UINT32_MAX: none.
  uint32_t FirstNeeded(TensorIndex tensor) {
    uint32_t first = UINT32_MAX;
    for (const Use& use : ReadersHere(tensor)) {
      if (Done(use.node) == Rows(use.node)) continue;
      const kernels::RowRange read =
          RowsRead(graph_, graph_.nodes[use.node], use.operand, {Done(use.node), Rows(use.node)});
      if (read.count() > 0) first = std::min(first, read.begin);
    }
    return first;
  }

  /// Rows up to `end` now stand in the ring.
  void Extend(uint32_t ring, uint32_t end) {
    Ring& kept = schedule_.rings[ring];
    uint32_t first = FirstNeeded(kept.tensor);
    if (kept.block_rows > 0 && IsHere(MakerOf(kept.tensor))) {
      first = std::min(first, sealed_[ring]);
    }
    // Rows that nobody needs still take a place while they are made.
    first = std::min(first, ends_[ring]);
    kept.rows = std::max(kept.rows, end - first);
    ends_[ring] = end;
  }

  /// Notes how far the overlay's two tensors must be apart for rows up to `end` to be made.
  void Part(uint32_t end) {
    const OverlayPair& pair = stretch_.overlay;
    const uint32_t needed = FirstNeeded(pair.read);
    if (needed == UINT32_MAX) return;
    const auto written = static_cast<int64_t>(end * RowBytes(graph_, pair.made));
    const auto read = static_cast<int64_t>(needed * RowBytes(graph_, pair.read));
    schedule_.bytes_below = std::max(schedule_.bytes_below, written - read);
  }

  void Seal(uint32_t ring, uint32_t made) {
    const Ring& outside = schedule_.rings[ring];
    const bool all = made == AllRows(graph_, outside.tensor);
    const uint32_t end = all ? made : made / outside.block_rows * outside.block_rows;
    if (end == sealed_[ring]) return;
    schedule_.actions.push_back({ActionKind::kSeal, ring, sealed_[ring], end});
    sealed_[ring] = end;
  }

  const World& world_;
  const graph::Graph& graph_;
  const Stretch& stretch_;
  std::vector<uint32_t> done_;  // by node here
  std::vector<uint32_t> rows_;
  std::vector<uint32_t> firing_rows_;
  std::vector<uint32_t> ring_of_;  // by tensor
  std::vector<uint32_t> ends_;     // by ring: rows made or opened
  std::vector<uint32_t> sealed_;   // by ring
  Schedule schedule_;
};

}  // namespace

Schedule MakeSchedule(const World& world, const Stretch& stretch, uint32_t flow) {
  if (flow == kTogetherFlow) {
    const graph::Graph& all = world.convoy->all();
    Schedule whole;
    whole.actions.push_back(
        {ActionKind::kCompute, 0, 0, OutputRows(all, all.nodes[stretch.begin])});
    return whole;
  }
  return Scheduler(world, stretch, flow).Run();
}

}  // namespace coracle::plan
