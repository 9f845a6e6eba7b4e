#include "plan/planner.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/checked.h"
#include "base/units.h"
#include "fmt/format.h"
#include "kernels/kernel.h"
#include "plan/assemble.h"
#include "plan/cost.h"
#include "plan/homes.h"
#include "plan/order.h"

namespace coracle::plan {
namespace {

using graph::Graph;
using graph::Node;
using graph::NodeIndex;

/// Plans are sought for these budgets only, each so many times the one before it, from the least
/// one up: a larger budget then chooses among all that a smaller one could choose from.
constexpr double kLevelRatio = 1.04;
/// Levels below the budget whose plans fit and that are looked at, and, to leave room for pinned
/// weights, every so many further down.
constexpr int kNearLevels = 3;
constexpr size_t kLevelsAtOnce = 6;
constexpr size_t kFarLevels = 8;
/// A single pass over the weights may take so many times as long as several.
constexpr double kSinglePassPrice = 1.02;
/// Another order of the nodes is looked at if it keeps less than so much live.
constexpr double kLeaner = 0.98;
/// Most plans that are laid out to find the smallest one.
constexpr int kLeastTriesMax = 4;
/// A smaller pool is sought no further if it could be less than so many times smaller.
constexpr double kWorthwhile = 1.01;
constexpr uint64_t kLeastSearchWork = 300'000;
constexpr double kLeastFactors[] = {1.0, 1.03, 1.07, 1.1, 1.15};

bool SharesWindows(const Graph& graph, const StorageMap& map) {
  for (size_t step = 0; step < graph.nodes.size(); ++step) {
    if (map.elided[step] && graph.nodes[step].kind() != graph::OpKind::kReshape) return true;
  }
  return false;
}

uint64_t LeastScratchBytes(const Graph& graph, const Node& node) {
  const uint64_t weights =
      MustBeHeld(node) ? node.weights.TotalBytes() : node.weights.LargestChunkBytes();
  return weights + kernels::WorkspaceBytes(graph, node);
}

/// Weights to keep open between predictions.
struct Pins {
  std::vector<bool> nodes;
  uint64_t bytes = 0;
  double saved_ms = 0;
};

Pins ChoosePins(const Graph& graph, const Choice& choice, const std::vector<NodeTimes>& times,
                uint64_t bytes) {
  std::vector<WeightSaving> candidates;
  for (const Segment& segment : choice.segments) {
    const Stretch& stretch = segment.stretch;
    const auto same_workers = [&](const NodeTimes& t) { return t.workers() == segment.workers; };
    const NodeTimes& node_times = *std::find_if(times.begin(), times.end(), same_workers);
    for (NodeNumber node = stretch.begin; node < stretch.end; ++node) {
      const uint64_t weight_bytes = PooledWeightBytes(graph.nodes[node]);
      if (weight_bytes == 0) continue;
      const NodeTime& time = node_times.At(segment.flow, node);
      const bool held = segment.held[node - stretch.begin];
      const double saved = (held ? time.held_ms : time.streamed_ms) - (time.held_ms - time.open_ms);
      candidates.push_back({node, weight_bytes, saved, 0});
    }
  }
  RankByDensity(candidates);
  Pins pins;
  pins.nodes.resize(graph.nodes.size());
  for (const WeightSaving& candidate : candidates) {
    if (candidate.bytes > bytes || candidate.saved_ms <= 0) continue;
    bytes -= candidate.bytes;
    pins.bytes += candidate.bytes;
    pins.saved_ms += candidate.saved_ms;
    pins.nodes[candidate.node] = true;
  }
  return pins;
}

Error OutOfBudget(const Graph& graph, const Plan& smallest, uint64_t budget_bytes) {
  const Step* const step = FullestStep(smallest);
  std::string layer;
  if (step != nullptr) {
    const std::string& first = graph.node(step->parts.front().node).name;
    const std::string& last = graph.node(step->parts.back().node).name;
    layer = step->parts.size() == 1 ? fmt::format(" (layer {})", first)
                                    : fmt::format(" (layer {} to {})", first, last);
  }
  std::string needed = FormatBytes(smallest.pool_bytes);
  std::string has = FormatBytes(budget_bytes);
  if (needed == has) {  // rounding hides the difference
    needed = fmt::format("{} B", smallest.pool_bytes);
    has = fmt::format("{} B", budget_bytes);
  }
  return Error{Code::kOutOfBudget, fmt::format("needs {}{}, has {}", needed, layer, has)};
}

/// The most that any layer by itself needs.
uint64_t LayerPeak(const Graph& graph, const StorageMap& map,
                   const std::vector<uint64_t>& scratch_bytes) {
  std::vector<uint64_t> loads(graph.nodes.size() + 2);
  for (const Storage& storage : map.storages) {
    if (storage.members.empty()) continue;
    loads[storage.first] += storage.bytes;
    loads[std::min<size_t>(size_t{storage.last} + 1, loads.size() - 1)] -= storage.bytes;
  }
  uint64_t peak = 0;
  uint64_t load = 0;
  for (size_t step = 0; step < graph.nodes.size(); ++step) {
    load += loads[step];
    peak = std::max(peak, load + scratch_bytes[step]);
  }
  return peak;
}

}  // namespace

/// One way of sharing and spilling. Its table of segments is large, so it is made when it is needed
/// and dropped: the planner runs in secure memory too.
struct Planner::WorldSearch {
  const Order* order = nullptr;
  std::unique_ptr<World> world;
  std::array<uint64_t, 2> least_bytes{};  // by Passes; kUnlimited: none, since it spills
  uint64_t layer_peak_bytes = 0;          // with more than this, layers are never cut up
};

struct Planner::Candidate {
  const WorldSearch* world = nullptr;
  Choice choice;
};

Planner::Order::Order(const graph::Convoy& in_order, std::vector<NodeIndex> by_number,
                      const MachineRates& rates, uint32_t threads)
    : convoy(in_order),
      graph(convoy.one()),
      nodes(std::move(by_number)),
      uses(UsesOf(graph)),
      ranges(LiveRangesOf(graph)) {
  for (uint32_t flow = 0; flow < kWholeFlow; ++flow) {
    flows.emplace_back(graph, uses, kFlowRows[flow]);
  }
  const uint64_t decoding_bytes = DecodingBytes(graph);
  for (const Node& node : graph.nodes) {
    least_scratch_bytes.push_back(LeastScratchBytes(graph, node) + decoding_bytes);
  }
  default_times.emplace_back(convoy, flows, 1, MachineRates{});
  if (threads > 1) times.emplace_back(convoy, flows, threads, rates);
  times.emplace_back(convoy, flows, 1, rates);
}

Planner::Planner(const graph::Convoy& convoy, const MachineRates& rates, uint32_t threads)
    : convoy_(convoy), graph_(convoy_.one()), rates_(rates) {
  const Graph& graph = graph_;
  CORACLE_CHECK(graph.stage == graph::Stage::kRows);
  CORACLE_CHECK(threads >= 1 && threads <= kMaxThreads);
  helpers_decoding_bytes_ = (threads - 1) * DecodingBytes(graph);
  std::vector<NodeIndex> own;
  for (size_t i = 0; i < graph.nodes.size(); ++i) own.push_back(static_cast<NodeIndex>(i));
  std::vector<NodeIndex> lean = LeanOrder(graph);
  const auto own_bytes = static_cast<double>(PeakBytes(graph, own));
  const bool leaner = static_cast<double>(PeakBytes(graph, lean)) < own_bytes * kLeaner;
  orders_.push_back(std::make_unique<Order>(convoy_, std::move(own), rates, threads));
  if (!leaner) return;
  reordered_ = Reordered(graph, lean);
  graph::Convoy other(*reordered_);
  if (convoy.batch() > 1) {
    other = graph::Convoy(*reordered_, Reordered(convoy.all(), lean), convoy.batch());
  }
  orders_.push_back(std::make_unique<Order>(other, std::move(lean), rates, threads));
}

Planner::~Planner() = default;

void Planner::AddWorlds(const Order& order, uint64_t spill_bytes) {
  const Graph& graph = order.graph;
  const BlockRows block_rows = ChooseOutside(graph, order.uses, spill_bytes);
  std::vector<bool> outside;
  for (const uint32_t rows : block_rows) outside.push_back(rows > 0);
  std::vector<StorageMap> maps;
  const auto share = [&](Sharing sharing) {
    return ShareStorages(order.convoy.all(), order.ranges, sharing, order.least_scratch_bytes,
                         outside);
  };
  maps.push_back(share(Sharing::kAll));
  if (SharesWindows(graph, maps[0])) {
    StorageMap selective = share(Sharing::kSelective);
    if (selective.declined_count > 0) maps.push_back(std::move(selective));
    maps.push_back(share(Sharing::kNone));
  }
  for (StorageMap& map : maps) {
    WorldSearch& added = worlds_.emplace_back();
    added.order = &order;
    added.layer_peak_bytes = LayerPeak(graph, map, order.least_scratch_bytes);
    added.world = std::make_unique<World>(World{&order.convoy, &graph, &order.uses, &order.ranges,
                                                &order.flows, block_rows, std::move(map)});
    const SegmentTable table(*added.world, added.layer_peak_bytes, MachineRates{});
    for (const Passes passes : {Passes::kAny, Passes::kSingle}) {
      const bool spills = spill_bytes != kUnlimited;
      added.least_bytes[Position(passes)] =
          passes == Passes::kSingle && spills
              ? kUnlimited
              : Search(table, order.default_times, passes).LeastBytes();
    }
  }
}

std::vector<const Planner::WorldSearch*> Planner::Worlds(Passes passes) {
  if (worlds_.empty()) {
    for (const std::unique_ptr<Order>& order : orders_) AddWorlds(*order, kUnlimited);
    unspilled_count_ = worlds_.size();
  }
  if (passes == Passes::kAny && worlds_.size() == unspilled_count_) {
    // Where much is spilled the order matters little: the caller's.
    for (const uint64_t spill_bytes : SpillLevels(graph_)) AddWorlds(*orders_[0], spill_bytes);
  }
  std::vector<const WorldSearch*> worlds;
  for (const WorldSearch& world : worlds_) {
    if (passes == Passes::kSingle && worlds.size() == unspilled_count_) break;
    worlds.push_back(&world);
  }
  return worlds;
}

const Plan& Planner::Least(Passes passes) {
  std::optional<Plan>& least = least_[Position(passes)];
  if (least) return *least;
  const size_t pass = Position(passes);
  std::vector<const WorldSearch*> by_bytes = Worlds(passes);
  std::stable_sort(by_bytes.begin(), by_bytes.end(), [pass](const auto* a, const auto* b) {
    return a->least_bytes[pass] < b->least_bytes[pass];
  });
  // Where a world's least does not pack, a little more may.
  int tries = 0;
  for (const WorldSearch* world : by_bytes) {
    if (least && (tries == kLeastTriesMax || world->least_bytes[pass] >= least->pool_bytes)) break;
    ++tries;
    // Whatever the rates and the threads: whether a budget is refused must not depend on them.
    const SegmentTable table(*world->world, world->layer_peak_bytes, MachineRates{});
    const Search search(table, world->order->default_times, passes);
    for (const double factor : kLeastFactors) {
      const auto bytes =
          static_cast<uint64_t>(static_cast<double>(world->least_bytes[pass]) * factor);
      if (least &&
          static_cast<double>(bytes) * kWorthwhile >= static_cast<double>(least->pool_bytes)) {
        break;
      }
      const std::optional<Choice> choice =
          search.Fastest(bytes, std::numeric_limits<double>::infinity());
      CORACLE_CHECK(choice.has_value());
      Plan plan = Assemble({world->world.get(), &world->order->nodes, {}, kLeastSearchWork},
                           *choice, rates_);
      if (!least || plan.pool_bytes < least->pool_bytes) least = std::move(plan);
    }
  }
  return *least;
}

std::vector<uint64_t> Planner::Levels(uint64_t budget_bytes, Passes passes) {
  uint64_t most = 0;
  for (const WorldSearch* world : Worlds(passes)) most = std::max(most, world->layer_peak_bytes);
  most += helpers_decoding_bytes_;
  std::vector<uint64_t> all;
  const uint64_t least = Least(passes).pool_bytes;
  for (double level = static_cast<double>(least);; level *= kLevelRatio) {
    const auto bytes = std::min(static_cast<uint64_t>(level), std::max(most, least));
    if (bytes > budget_bytes) break;
    all.push_back(bytes);
    if (bytes >= most) break;
  }
  std::reverse(all.begin(), all.end());
  return all;
}

void Planner::Seek(const std::vector<uint64_t>& levels, Passes passes) {
  auto& known = candidates_[Position(passes)];
  std::vector<uint64_t> fresh;
  for (const uint64_t level : levels) {
    if (known.find(level) == known.end()) fresh.push_back(level);
  }
  for (const uint64_t level : fresh) known[level] = std::nullopt;
  if (fresh.empty()) return;
  const uint64_t most = *std::max_element(fresh.begin(), fresh.end());
  for (const WorldSearch* world : Worlds(passes)) {
    const uint64_t least_bytes = world->least_bytes[Position(passes)];
    if (least_bytes > most) continue;
    const SegmentTable table(*world->world, std::min(world->layer_peak_bytes, most), rates_);
    const Search search(table, world->order->times, passes);
    for (const uint64_t level : fresh) {
      if (least_bytes > level) continue;
      std::optional<Candidate>& fastest = known[level];
      const double ms_max = fastest ? fastest->choice.ms : std::numeric_limits<double>::infinity();
      std::optional<Choice> choice = search.Fastest(level, ms_max);
      if (choice) fastest = Candidate{world, *std::move(choice)};
    }
  }
}

std::optional<Plan> Planner::Try(const Candidate& candidate, uint64_t budget_bytes,
                                 Pinning pinning) const {
  const Order& order = *candidate.world->order;
  Recipe recipe{candidate.world->world.get(), &order.nodes, {}};
  Plan plan = Assemble(recipe, candidate.choice, rates_);
  if (plan.pool_bytes > budget_bytes) return std::nullopt;
  if (pinning == Pinning::kNone) return plan;
  uint64_t spare = budget_bytes - plan.pool_bytes;
  for (int attempt = 0; attempt < 3; ++attempt) {
    const Pins pins = ChoosePins(order.graph, candidate.choice, order.times, spare);
    if (pins.bytes == 0) break;
    recipe.pinned = pins.nodes;
    Plan pinned = Assemble(recipe, candidate.choice, rates_);
    if (pinned.pool_bytes <= budget_bytes) return pinned;
    const uint64_t excess = pinned.pool_bytes - budget_bytes;
    spare = pins.bytes > excess ? pins.bytes - excess : 0;
  }
  return plan;
}

Result<Plan> Planner::Make(uint64_t budget_bytes, Pinning pinning, Passes passes) {
  const Plan& least = Least(passes);
  if (least.pool_bytes > budget_bytes) return OutOfBudget(graph_, least, budget_bytes);
  // Estimates choose the levels; what the plans laid out take decides among them. Levels whose
  // plan does not pack into the budget are passed over.
  const std::vector<uint64_t> levels = Levels(budget_bytes, passes);
  const auto& known = candidates_[Position(passes)];
  std::optional<Plan> best;
  int fitting = 0;
  for (size_t begin = 0; begin < levels.size() && fitting < kNearLevels; begin += kLevelsAtOnce) {
    const size_t end = std::min(begin + kLevelsAtOnce, levels.size());
    Seek({levels.begin() + static_cast<ptrdiff_t>(begin),
          levels.begin() + static_cast<ptrdiff_t>(end)},
         passes);
    for (size_t i = begin; i < end && fitting < kNearLevels; ++i) {
      const std::optional<Candidate>& fastest = known.at(levels[i]);
      if (!fastest) continue;
      std::optional<Plan> plan = Try(*fastest, budget_bytes, pinning);
      if (!plan) continue;
      ++fitting;
      if (!best || plan->predicted_ms < best->predicted_ms) best = std::move(plan);
    }
  }
  std::vector<uint64_t> far_levels;
  if (pinning == Pinning::kAuto) {
    for (size_t i = kFarLevels; i < levels.size(); i += kFarLevels) far_levels.push_back(levels[i]);
  }
  Seek(far_levels, passes);
  const Candidate* fastest = nullptr;
  double fastest_ms = best ? best->predicted_ms : std::numeric_limits<double>::infinity();
  for (const uint64_t level : far_levels) {
    const std::optional<Candidate>& candidate = known.at(level);
    if (!candidate) continue;
    const uint64_t spare = budget_bytes - level;
    const double ms =
        candidate->choice.ms - ChoosePins(candidate->world->order->graph, candidate->choice,
                                          candidate->world->order->times, spare)
                                   .saved_ms;
    if (ms >= fastest_ms) continue;
    fastest_ms = ms;
    fastest = &*candidate;
  }
  if (fastest != nullptr) {
    std::optional<Plan> plan = Try(*fastest, budget_bytes, pinning);
    if (plan && (!best || plan->predicted_ms < best->predicted_ms)) best = std::move(plan);
  }
  if (!best || best->predicted_ms > least.predicted_ms) best = least;
  // Opening weights again saves next to nothing where each could be opened once: rather not.
  if (passes == Passes::kAny && Least(Passes::kSingle).pool_bytes <= budget_bytes) {
    Result<Plan> single = Make(budget_bytes, pinning, Passes::kSingle);
    if (single.ok() && single->predicted_ms < best->predicted_ms * kSinglePassPrice) {
      best = std::move(single).value();
    }
  }
  best->budget_bytes = budget_bytes;
  return *std::move(best);
}

}  // namespace coracle::plan
