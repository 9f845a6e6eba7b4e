#include "plan/search.h"

#include <algorithm>
#include <limits>

#include "base/checked.h"

namespace coracle::plan {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

uint64_t AddOrMax(uint64_t a, uint64_t b) { return a > kUnlimited - b ? kUnlimited : a + b; }

}  // namespace

Search::Search(const SegmentTable& table, const std::vector<NodeTimes>& times, Passes passes)
    : table_(table), times_(times), passes_(passes) {
  const graph::Graph& graph = *table.world().graph;
  count_ = static_cast<NodeNumber>(graph.nodes.size());
  decoding_bytes_ = DecodingBytes(graph);
  sums_.resize(times.size());
  for (uint32_t i = 0; i < times.size(); ++i) {
    for (uint32_t flow = 0; flow < kFlowCount; ++flow) AddUp(i, flow);
  }
  FindTails();
}

bool Search::IsHoldable(uint32_t times, uint32_t flow, NodeNumber number) const {
  const graph::Node& node = table_.world().graph->nodes[number];
  if (node.weights.chunks.empty() || MustBeHeld(node)) return false;
  if (!OpensOnce(number, flow)) return true;
  // Several workers may open parts of what each would have to open whole.
  const NodeTime& time = times_[times].At(flow, number);
  return passes_ == Passes::kAny && time.streamed_ms > time.held_ms * (1 + 1e-6);
}

void Search::AddUp(uint32_t times, uint32_t flow) {
  const graph::Graph& graph = *table_.world().graph;
  Sums& sums = sums_[times][flow];
  sums.holdable_bytes.push_back(0);
  sums.streamed.push_back(0);
  sums.held_ms.push_back(0);
  sums.far_ms.push_back(0);
  sums.streamed_ms.push_back(0);
  sums.divided.push_back(0);
  for (NodeNumber number = 0; number < count_; ++number) {
    const graph::Node& node = graph.nodes[number];
    const NodeTime& time = times_[times].At(flow, number);
    const bool holdable = IsHoldable(times, flow, number);
    const bool streams = !node.weights.chunks.empty() && !MustBeHeld(node) && !holdable;
    const bool divided = time.streamed_split != Split::kNone || time.held_split != Split::kNone;
    const uint64_t bytes = holdable ? PooledWeightBytes(node) : 0;
    sums.holdable_begins.push_back(static_cast<uint32_t>(sums.holdable.size()));
    if (holdable) {
      sums.holdable.push_back({number, bytes, time.streamed_ms - time.held_ms, time.far_ms});
    }
    sums.holdable_bytes.push_back(sums.holdable_bytes.back() + bytes);
    sums.streamed.push_back(sums.streamed.back() + (streams ? 1 : 0));
    sums.held_ms.push_back(sums.held_ms.back() + (streams ? time.streamed_ms : time.held_ms));
    sums.far_ms.push_back(sums.far_ms.back() + (holdable ? time.far_ms : 0));
    sums.streamed_ms.push_back(sums.streamed_ms.back() + time.streamed_ms);
    sums.divided.push_back(sums.divided.back() + (divided ? 1 : 0));
  }
  sums.holdable_begins.push_back(static_cast<uint32_t>(sums.holdable.size()));
}

void Search::FindTails() {
  tails_ms_.assign(size_t{count_} + 1, 0);
  for (NodeNumber node = count_; node-- > 0;) {
    double least = table_.world().map.elided[node] ? 0 : kNever;
    for (const NodeTimes& times : times_) {
      for (uint32_t flow = 0; flow < kFlowCount && least > 0; ++flow) {
        least = std::min(least, times.At(flow, node).held_ms);
      }
    }
    tails_ms_[node] = tails_ms_[node + 1] + least;
  }
}

bool Search::OpensOnce(NodeNumber node, uint32_t flow) const {
  if (flow == kTogetherFlow) return true;
  if (table_.world().convoy->batch() > 1) return false;
  if (flow == kWholeFlow) return true;
  const graph::Graph& graph = *table_.world().graph;
  return (*table_.world().flows)[flow].firing_rows(node) >=
         AllRows(graph, graph.nodes[node].output);
}

Search::Needs Search::NeedsOf(const Stretch& stretch, uint32_t flow, uint32_t times) const {
  const uint32_t workers = times_[times].workers();
  const Sums& sums = SumsOf(times, flow);
  const uint64_t fixed = stretch.pool_bytes + stretch.window_bytes(flow) +
                         (stretch.workspace_bytes + decoding_bytes_) * workers +
                         stretch.constant_bytes;
  const uint64_t holdable = sums.holdable_bytes[stretch.end] - sums.holdable_bytes[stretch.begin];
  const bool some_stream = sums.streamed[stretch.end] > sums.streamed[stretch.begin];
  const uint64_t slots = uint64_t{stretch.slot_bytes} * workers;
  Needs needs;
  needs.held = fixed + holdable + (some_stream ? slots : 0);
  needs.streamed = passes_ == Passes::kSingle && holdable > 0 ? kUnlimited : fixed + slots;
  return needs;
}

uint64_t Search::LeastNeed(const Stretch& stretch, uint64_t useful_bytes) const {
  if (stretch.elided) return stretch.pool_bytes + decoding_bytes_;
  const auto alone = static_cast<uint32_t>(times_.size() - 1);
  uint64_t least = kUnlimited;
  for (uint32_t flow = 0; flow < kFlowCount; ++flow) {
    if (!IsPossible(stretch, flow)) continue;
    const Needs needs = NeedsOf(stretch, flow, alone);
    const uint64_t need = std::min(needs.streamed, needs.held);
    least = std::min(least, need);
    // An overlay is worth computing only where it can decide.
    const uint64_t goal = std::min(least, useful_bytes);
    if (flow >= kWholeFlow || need == kUnlimited || stretch.overlay_units_max == 0) continue;
    if (need <= useful_bytes && least == need && flow > 0) continue;
    if (need - std::min(need, stretch.overlay_bytes_max()) >= goal) continue;
    least = std::min(least, need - std::min(need, table_.OverlayBytes(stretch, flow)));
  }
  return least;
}

uint64_t Search::LeastBytes() const {
  std::vector<uint64_t> best(size_t{count_} + 1, kUnlimited);
  best[0] = 0;
  for (NodeNumber begin = 0; begin < count_; ++begin) {
    if (best[begin] == kUnlimited) continue;
    for (const Stretch& stretch : table_.From(begin)) {
      uint64_t& goal = best[stretch.end];
      if (goal <= best[begin]) continue;
      goal = std::min(goal, std::max(best[begin], LeastNeed(stretch, best[begin])));
    }
  }
  return best[count_];
}

std::optional<Search::Way> Search::FastestWay(const Stretch& stretch, uint64_t bytes,
                                              double ms_max) const {
  if (stretch.elided) {
    if (stretch.pool_bytes + decoding_bytes_ > bytes || ms_max <= 0) return std::nullopt;
    return Way{kWholeFlow, 0, false, true, 0};
  }
  std::optional<Way> best;
  for (uint32_t times = 0; times < times_.size(); ++times) {
    for (uint32_t flow = kFlowCount; flow-- > 0;) {
      if (!IsPossible(stretch, flow)) continue;
      const Sums& sums = SumsOf(times, flow);
      // Several workers for nothing are one.
      const bool divided = sums.divided[stretch.end] > sums.divided[stretch.begin];
      if (times_[times].workers() > 1 && !divided) continue;
      double transfer_ms = stretch.transfer_ms + kStepMs;
      if (flow < kWholeFlow) transfer_ms += double{stretch.border_ms} / times_[times].workers();
      const double held_ms = sums.held_ms[stretch.end] - sums.held_ms[stretch.begin] + transfer_ms;
      if (held_ms >= ms_max) continue;
      const Needs needs = NeedsOf(stretch, flow, times);
      const uint64_t least = std::min(needs.held, needs.streamed);
      if (least == kUnlimited) continue;
      uint64_t reach = bytes;
      Way way{flow, times, false, false, held_ms};
      if (needs.held > bytes && stretch.overlay_units_max > 0 &&
          least - std::min(least, stretch.overlay_bytes_max()) <= bytes) {
        const uint64_t saved = table_.OverlayBytes(stretch, flow);
        way.overlays = saved > 0;
        reach = AddOrMax(bytes, saved);
      }
      if (least > reach) continue;
      way.holds_all = needs.held <= reach;
      if (way.holds_all) {
        way.ms += FarMs(stretch, flow, times);
      } else {
        way.ms = sums.streamed_ms[stretch.end] - sums.streamed_ms[stretch.begin] + transfer_ms -
                 Hold(stretch, way, reach - needs.streamed, nullptr);
      }
      if (way.ms >= ms_max) continue;
      ms_max = way.ms;
      best = way;
    }
  }
  return best;
}

double Search::FarMs(const Stretch& stretch, uint32_t flow, uint32_t times) const {
  const Sums& sums = SumsOf(times, flow);
  const uint64_t bytes = stretch.constant_bytes + sums.holdable_bytes[stretch.end] -
                         sums.holdable_bytes[stretch.begin];
  return FarShare(bytes) * (sums.far_ms[stretch.end] - sums.far_ms[stretch.begin]);
}

double Search::Hold(const Stretch& stretch, const Way& way, uint64_t bytes,
                    std::vector<bool>* held) const {
  const Sums& sums = SumsOf(way.times, way.flow);
  ranked_.assign(sums.holdable.begin() + sums.holdable_begins[stretch.begin],
                 sums.holdable.begin() + sums.holdable_begins[stretch.end]);
  RankByDensity(ranked_);
  double saved = 0;
  double far_ms = 0;
  uint64_t held_bytes = stretch.constant_bytes;
  for (const WeightSaving& candidate : ranked_) {
    if (candidate.bytes > bytes) continue;
    bytes -= candidate.bytes;
    held_bytes += candidate.bytes;
    saved += candidate.saved_ms;
    far_ms += candidate.far_ms;
    if (held != nullptr) (*held)[candidate.node - stretch.begin] = true;
  }
  return saved - FarShare(held_bytes) * far_ms;
}

Segment Search::MakeSegment(const Stretch& stretch, const Way& way, uint64_t bytes) const {
  Segment segment;
  segment.stretch = stretch;
  segment.flow = way.flow;
  segment.overlays = way.overlays;
  segment.held.resize(stretch.end - stretch.begin);
  if (stretch.elided) return segment;
  segment.workers = times_[way.times].workers();
  const graph::Graph& graph = *table_.world().graph;
  for (NodeNumber node = stretch.begin; node < stretch.end; ++node) {
    const graph::Node& of = graph.nodes[node];
    const NodeTime& time = times_[way.times].At(way.flow, node);
    segment.streamed_splits.push_back(time.streamed_split);
    segment.held_splits.push_back(time.held_split);
    if (of.weights.chunks.empty()) continue;
    segment.held[node - stretch.begin] =
        MustBeHeld(of) || (way.holds_all && IsHoldable(way.times, way.flow, node));
  }
  if (way.holds_all) return segment;
  const uint64_t saved = way.overlays ? table_.OverlayBytes(stretch, way.flow) : 0;
  const uint64_t need = NeedsOf(stretch, way.flow, way.times).streamed;
  Hold(stretch, way, AddOrMax(bytes, saved) - need, &segment.held);
  return segment;
}

std::optional<Choice> Search::Fastest(uint64_t bytes, double ms_max) const {
  struct Arrival {
    double ms = kNever;
    const Stretch* stretch = nullptr;
    Way way;
  };
  // Nodes whose whole layer fits gain nothing from a cascade without others that do not.
  std::vector<uint32_t> tight(size_t{count_} + 1);
  const auto alone = static_cast<uint32_t>(times_.size() - 1);
  const World& world = table_.world();
  for (NodeNumber node = 0; node < count_; ++node) {
    const std::vector<Stretch>& from = table_.From(node);
    bool fits = false;
    if (!from.empty() && from[0].single()) {
      const uint32_t whole = from[0].together ? kTogetherFlow : kWholeFlow;
      fits = from[0].elided ? from[0].pool_bytes + decoding_bytes_ <= bytes
                            : NeedsOf(from[0], whole, alone).streamed <= bytes;
    }
    const graph::Node& of = world.graph->nodes[node];
    const auto spilled = [&](graph::TensorIndex tensor) {
      return world.block_rows[Position(tensor)] > 0;
    };
    if (spilled(of.output) || std::any_of(of.inputs.begin(), of.inputs.end(), spilled))
      fits = false;
    tight[node + 1] = tight[node] + (fits ? 0 : 1);
  }
  std::vector<Arrival> arrivals(size_t{count_} + 1);
  arrivals[0].ms = 0;
  for (NodeNumber begin = 0; begin < count_; ++begin) {
    if (arrivals[begin].ms >= ms_max) continue;
    for (const Stretch& stretch : table_.From(begin)) {
      if (!stretch.single() && tight[stretch.end] == tight[begin]) continue;
      Arrival& arrival = arrivals[stretch.end];
      // Rounding must not cut off what takes exactly as long.
      const double open_ms = (ms_max - tails_ms_[stretch.end]) * (1 + 1e-9);
      const double limit = std::min(arrival.ms, open_ms) - arrivals[begin].ms;
      const std::optional<Way> way =
          FastestWay(stretch, bytes, stretch.elided && limit > 0 ? std::max(limit, 1e-12) : limit);
      if (!way) continue;
      arrival = {arrivals[begin].ms + way->ms, &stretch, *way};
    }
  }
  if (!(arrivals[count_].ms < ms_max)) return std::nullopt;
  Choice choice;
  choice.ms = arrivals[count_].ms;
  for (NodeNumber cut = count_; cut > 0; cut = arrivals[cut].stretch->begin) {
    choice.segments.push_back(MakeSegment(*arrivals[cut].stretch, arrivals[cut].way, bytes));
  }
  std::reverse(choice.segments.begin(), choice.segments.end());
  return choice;
}

}  // namespace coracle::plan
