#include "plan/segments.h"

#include <algorithm>
#include <numeric>

#include "base/checked.h"
#include "graph/tensor_bytes.h"
#include "kernels/kernel.h"

namespace coracle::plan {
namespace {

using graph::Graph;
using graph::Node;
using graph::TensorIndex;

/// Longest stretches; shorter in graphs of very many nodes, so that tables stay small.
constexpr NodeNumber kStretchNodesMax = 160;
constexpr NodeNumber kStretchNodesMin = 16;
constexpr NodeNumber kStretchesMax = 200'000;

NodeNumber LongestStretch(NodeNumber nodes) {
  return std::clamp(kStretchesMax / std::max(nodes, 1U), kStretchNodesMin, kStretchNodesMax);
}

uint32_t Units(uint64_t bytes) { return static_cast<uint32_t>(CeilDiv(bytes, kPoolAlignment)); }

/// `bytes_below` for all inputs: each reads and writes further on, and before one input's rows are
/// all made none of the next one's has been read.
int64_t BytesBelowOfAll(const World& world, const OverlayPair& pair, int64_t bytes_below) {
  const int64_t others = int64_t{world.convoy->batch()} - 1;
  if (others == 0) return bytes_below;
  const int64_t gain = static_cast<int64_t>(TensorBytes(*world.graph, pair.made)) -
                       static_cast<int64_t>(TensorBytes(*world.graph, pair.read));
  int64_t below = std::max(gain, others * gain);
  if (bytes_below != INT64_MIN) {
    below = std::max({below, bytes_below, bytes_below + others * gain});
  }
  return below;
}

/// Something that lies in the pool across the cuts [first, last].
struct Resident {
  NodeNumber first = 0;
  NodeNumber last = 0;
  uint64_t bytes = 0;
};

}  // namespace

std::span<const Use> ReadersIn(const Uses& uses, TensorIndex tensor, NodeNumber begin,
                               NodeNumber end) {
  const std::vector<Use>& all = uses.readers[Position(tensor)];
  const auto by_node = [](const Use& use, NodeNumber node) { return use.node < node; };
  const auto first = std::lower_bound(all.begin(), all.end(), begin, by_node);
  const auto last = std::lower_bound(first, all.end(), end, by_node);
  return {first, last};
}

bool IsInner(const World& world, TensorIndex tensor, NodeNumber begin, NodeNumber end) {
  const NodeNumber maker = world.uses->makers[Position(tensor)];
  return maker != kNoNode && maker >= begin && maker < end &&
         (*world.ranges)[Position(tensor)].last < end;
}

Overlay OverlayOf(const World& world, const OverlayPair& pair, int64_t bytes_below) {
  const View& read = world.map.views[Position(pair.read)];
  const View& made = world.map.views[Position(pair.made)];
  const auto before = static_cast<int64_t>(world.map.storages[Position(read.storage)].bytes);
  const auto after = static_cast<int64_t>(world.map.storages[Position(made.storage)].bytes);
  Overlay overlay{static_cast<uint32_t>(Position(read.storage)),
                  static_cast<uint32_t>(Position(made.storage)), after, before};
  const int64_t all_below = BytesBelowOfAll(world, pair, bytes_below);
  if (all_below == INT64_MIN) return overlay;
  const int64_t below =
      all_below + static_cast<int64_t>(made.offset) - static_cast<int64_t>(read.offset);
  const auto alignment = static_cast<int64_t>(kPoolAlignment);
  const int64_t rest = ((below % alignment) + alignment) % alignment;
  overlay.below = std::min(after, rest == 0 ? below : below + alignment - rest);
  return overlay;
}

namespace {

/// Builds all stretches of a world.
class TableBuilder {
 public:
  TableBuilder(const World& world, uint64_t bytes_max, const MachineRates& rates)
      : world_(world),
        graph_(*world.graph),
        uses_(*world.uses),
        rates_(rates),
        bytes_max_(bytes_max),
        count_(static_cast<NodeNumber>(graph_.nodes.size())),
        longest_(LongestStretch(count_)) {
    ListResidents();
    ListLiveTensors();
    ListLives();
    for (auto& rows : ring_units_) rows.assign(graph_.tensors.size(), 0);
    for (NodeNumber node = 0; node < count_; ++node) traits_.push_back(TraitsOf(node));
  }

  std::vector<Stretch> From(NodeNumber begin);

 private:
  /// What decides whether a node may share a step with others.
  struct Traits {
    bool has_images = false;
    /// Its output replaces, or is a view of, this operand in the storage map.
    TensorIndex shares_with = NoIndex<TensorIndex>();
    bool elided = false;
    /// Last earlier reader of anything in that operand's storage.
    NodeNumber last_other_reader = kNoNode;
    uint64_t weight_bytes = 0;
    uint64_t workspace_bytes = 0;
    uint32_t chunk_bytes = 0;
    bool must_be_held = false;
  };
  /// The members of a storage in time.
  struct Lives {
    std::vector<TensorIndex> by_maker;    // graph inputs first
    std::vector<NodeNumber> last_so_far;  // the latest last use of these and those before
    NodeNumber last = 0;                  // of all
    int64_t last_but_one = -1;
  };
  /// A tensor outside that the stretch at hand touches.
  struct Touched {
    TensorIndex tensor{};
    std::array<uint32_t, kFlowCount> units{};
  };

  void ListResidents();
  void ListLiveTensors();
  void ListLives();
  const Lives& LivesOf(TensorIndex tensor) const;
  int64_t MakerOrNone(TensorIndex tensor) const {
    const NodeNumber maker = uses_.makers[Position(tensor)];
    return maker == kNoNode ? -1 : int64_t{maker};
  }
  Traits TraitsOf(NodeNumber node) const;
  bool IsOutside(TensorIndex tensor) const { return world_.block_rows[Position(tensor)] > 0; }
  NodeNumber LastOf(TensorIndex tensor) const { return (*world_.ranges)[Position(tensor)].last; }
  /// True if the tensor would lie in the pool during [begin, end).
  bool InPool(TensorIndex tensor, NodeNumber begin, NodeNumber end) const {
    return !IsOutside(tensor) && !IsInner(world_, tensor, begin, end);
  }
  bool Overlap(TensorIndex a, TensorIndex b) const;
  bool MayShareStep(NodeNumber begin, NodeNumber end) const;
  uint32_t RingUnits(TensorIndex tensor, uint32_t flow);
  uint32_t WindowRows(TensorIndex tensor, NodeNumber begin, NodeNumber end, uint32_t flow);
  void Touch(TensorIndex tensor, NodeNumber begin, NodeNumber end);
  double BordersMs(NodeNumber begin, NodeNumber end);
  void AddOverlay(Stretch& stretch) const;
  bool CanBeOverwritten(TensorIndex tensor, NodeNumber begin, NodeNumber end) const;
  bool CanOverwrite(TensorIndex tensor, NodeNumber begin, NodeNumber end) const;
  bool IsDense(TensorIndex tensor) const;

  const World& world_;
  const Graph& graph_;
  const Uses& uses_;
  const MachineRates& rates_;
  const uint64_t bytes_max_;
  const NodeNumber count_;
  const NodeNumber longest_;
  std::vector<Traits> traits_;
  std::vector<Lives> lives_;                                  // by storage
  std::vector<uint64_t> loads_;                               // by cut
  std::vector<std::vector<Resident>> ending_;                 // by last cut
  std::vector<std::vector<TensorIndex>> live_;                // by cut: pool tensors
  std::array<std::vector<uint32_t>, kFlowCount> ring_units_;  // by tensor; 0: not known yet
  std::vector<NodeNumber> sharers_;   // nodes of the stretch at hand that share with an operand
  std::vector<Touched> touched_;      // by the stretch at hand
  std::vector<TensorIndex> borders_;  // large tensors of the pool, made or read by it and by others
};

void TableBuilder::ListResidents() {
  loads_.assign(size_t{count_} + 2, 0);
  ending_.resize(size_t{count_} + 1);
  const auto add = [this](const Resident& resident) {
    if (resident.first > resident.last) return;
    loads_[resident.first] += resident.bytes;
    loads_[resident.last + 1] -= resident.bytes;
    ending_[resident.last].push_back(resident);
  };
  const auto first_cut = [this](TensorIndex tensor) {
    const NodeNumber maker = uses_.makers[Position(tensor)];
    return maker == kNoNode ? 0 : maker + 1;
  };
  for (const Storage& storage : world_.map.storages) {
    if (storage.members.empty()) continue;
    Resident resident{UINT32_MAX, std::min(storage.last, count_), storage.bytes};
    for (const TensorIndex member : storage.members) {
      resident.first = std::min(resident.first, first_cut(member));
    }
    add(resident);
  }
  for (size_t i = 0; i < graph_.tensors.size(); ++i) {
    const auto tensor = static_cast<TensorIndex>(i);
    if (!IsOutside(tensor)) continue;
    add({first_cut(tensor), std::min(LastOf(tensor), count_),
         RoundUp(CounterBytes(*world_.convoy, tensor, world_.block_rows[i]), kPoolAlignment)});
  }
  for (size_t cut = 1; cut < loads_.size(); ++cut) loads_[cut] += loads_[cut - 1];
}

void TableBuilder::ListLiveTensors() {
  live_.resize(size_t{count_} + 1);
  for (size_t i = 0; i < graph_.tensors.size(); ++i) {
    const auto tensor = static_cast<TensorIndex>(i);
    if (IsOutside(tensor)) continue;
    const NodeNumber maker = uses_.makers[i];
    const NodeNumber last = std::min(LastOf(tensor), count_);
    for (NodeNumber cut = maker == kNoNode ? 0 : maker + 1; cut <= last; ++cut) {
      live_[cut].push_back(tensor);
    }
  }
}

void TableBuilder::ListLives() {
  for (const Storage& storage : world_.map.storages) {
    Lives& lives = lives_.emplace_back();
    lives.by_maker = storage.members;
    std::sort(lives.by_maker.begin(), lives.by_maker.end(), [this](TensorIndex a, TensorIndex b) {
      return MakerOrNone(a) != MakerOrNone(b) ? MakerOrNone(a) < MakerOrNone(b)
                                              : Position(a) < Position(b);
    });
    for (const TensorIndex member : lives.by_maker) {
      const NodeNumber last = LastOf(member);
      if (lives.last_so_far.empty() || last >= lives.last) {
        lives.last_but_one = lives.last_so_far.empty() ? -1 : int64_t{lives.last};
        lives.last = last;
      } else {
        lives.last_but_one = std::max(lives.last_but_one, int64_t{last});
      }
      lives.last_so_far.push_back(lives.last);
    }
  }
}

TableBuilder::Traits TableBuilder::TraitsOf(NodeNumber number) const {
  const Node& node = graph_.nodes[number];
  Traits traits;
  traits.has_images = HasImages(graph_, node);
  traits.elided = world_.map.elided[number];
  traits.weight_bytes = PooledWeightBytes(node);
  traits.workspace_bytes = RoundUp(std::max(kernels::WorkspaceBytes(graph_, node),
                                            kernels::WorkspaceBytes(world_.convoy->all(), node)),
                                   kPoolAlignment);
  traits.chunk_bytes =
      static_cast<uint32_t>(RoundUp(node.weights.LargestChunkBytes(), kPoolAlignment));
  traits.must_be_held = MustBeHeld(node);
  if (IsOutside(node.output)) return traits;
  const View& out = world_.map.views[Position(node.output)];
  for (const TensorIndex input : node.inputs) {
    if (IsOutside(input)) continue;
    const View& in = world_.map.views[Position(input)];
    if (in.storage != out.storage) continue;
    if (traits.elided || in.offset == out.offset) traits.shares_with = input;
  }
  if (traits.shares_with == NoIndex<TensorIndex>()) return traits;
  const Lives& lives = lives_[Position(out.storage)];
  for (size_t place = lives.by_maker.size(); place-- > 0;) {
    const TensorIndex member = lives.by_maker[place];
    if (MakerOrNone(member) >= int64_t{number}) continue;
    const std::span<const Use> readers = ReadersIn(uses_, member, 0, number);
    if (!readers.empty() &&
        (traits.last_other_reader == kNoNode || readers.back().node > traits.last_other_reader)) {
      traits.last_other_reader = readers.back().node;
    }
    const bool done = traits.last_other_reader != kNoNode && place > 0 &&
                      lives.last_so_far[place - 1] <= traits.last_other_reader;
    if (done) break;
  }
  return traits;
}

bool TableBuilder::Overlap(TensorIndex a, TensorIndex b) const {
  const View& va = world_.map.views[Position(a)];
  const View& vb = world_.map.views[Position(b)];
  const auto width = [this](TensorIndex tensor) { return graph::PixelBytes(graph_, tensor); };
  if (va.pitch != vb.pitch) return true;
  // Slices of one grid of pixels; those of different pixels are taken to overlap too.
  const uint64_t begin_a = va.offset % va.pitch;
  const uint64_t begin_b = vb.offset % vb.pitch;
  return begin_a < begin_b + width(b) && begin_b < begin_a + width(a);
}

/// A node whose output lies over an operand would, row by row, destroy what lagging readers still
/// read; an elided one would copy onto itself, or onto what it is a view of.
bool TableBuilder::MayShareStep(NodeNumber begin, NodeNumber end) const {
  for (const NodeNumber number : sharers_) {
    const Traits& traits = traits_[number];
    const TensorIndex output = graph_.nodes[number].output;
    if (!InPool(output, begin, end)) continue;
    const bool read_before =
        traits.last_other_reader != kNoNode && traits.last_other_reader >= begin;
    if (!traits.elided && read_before && InPool(traits.shares_with, begin, end)) return false;
    const View& view = world_.map.views[Position(output)];
    const Lives& lives = lives_[Position(view.storage)];
    auto made = std::lower_bound(
        lives.by_maker.begin(), lives.by_maker.end(), int64_t{end},
        [this](TensorIndex member, int64_t cut) { return MakerOrNone(member) < cut; });
    while (made-- != lives.by_maker.begin()) {
      const auto place = static_cast<size_t>(made - lives.by_maker.begin());
      if (lives.last_so_far[place] < begin) break;
      const TensorIndex member = *made;
      const bool replaced = !traits.elided && member == traits.shares_with;
      if (member == output || replaced || LastOf(member) < begin) continue;
      if (InPool(member, begin, end) && Overlap(member, output)) return false;
    }
  }
  return true;
}

uint32_t TableBuilder::RingUnits(TensorIndex tensor, uint32_t flow) {
  uint32_t& units = ring_units_[flow][Position(tensor)];
  if (units > 0) return units;
  const RowFlow& rows = (*world_.flows)[flow];
  const uint32_t grain = rows.firing_rows(uses_.makers[Position(tensor)]);
  const uint32_t kept = rows.RowsKept(tensor, uses_.readers[Position(tensor)], grain);
  units = Units(kept * RowBytes(graph_, tensor));
  return units;
}

uint32_t TableBuilder::WindowRows(TensorIndex tensor, NodeNumber begin, NodeNumber end,
                                  uint32_t flow) {
  const uint32_t all = AllRows(graph_, tensor);
  if (flow >= kWholeFlow) return all;
  const NodeNumber maker = uses_.makers[Position(tensor)];
  const bool makes = maker != kNoNode && maker >= begin && maker < end;
  const std::span<const Use> readers = ReadersIn(uses_, tensor, begin, end);
  const uint32_t block = world_.block_rows[Position(tensor)];
  const RowFlow& rows = (*world_.flows)[flow];
  uint32_t kept = 0;
  if (makes) {
    // Rows that wait for their block to be full, and those that are made then.
    const uint32_t made = rows.firing_rows(maker);
    kept = std::min(made + block - std::gcd(made, block), all);
  }
  if (!readers.empty()) {
    const uint32_t grain = makes ? rows.firing_rows(maker) : block;
    kept = std::max(kept, rows.RowsKept(tensor, readers, grain));
  }
  kept = static_cast<uint32_t>(std::min<uint64_t>(RoundUpToMultiple(kept, block), all));
  return kept;
}

void TableBuilder::Touch(TensorIndex tensor, NodeNumber begin, NodeNumber end) {
  if (!IsOutside(tensor)) return;
  auto at = std::find_if(touched_.begin(), touched_.end(),
                         [tensor](const Touched& other) { return other.tensor == tensor; });
  if (at == touched_.end()) at = touched_.insert(touched_.end(), {tensor, {}});
  for (uint32_t flow = 0; flow < kFlowCount; ++flow) {
    at->units[flow] = Units(WindowRows(tensor, begin, end, flow) * RowBytes(graph_, tensor));
  }
}

/// Takes the stretch's last node in.
double TableBuilder::BordersMs(NodeNumber begin, NodeNumber end) {
  const uint32_t batch = world_.convoy->batch();
  const auto add = [&](TensorIndex tensor) {
    if (IsOutside(tensor) || FarShare(batch * TensorBytes(graph_, tensor)) == 0) return;
    if (std::find(borders_.begin(), borders_.end(), tensor) == borders_.end()) {
      borders_.push_back(tensor);
    }
  };
  add(graph_.nodes[end - 1].output);
  for (const TensorIndex input : graph_.nodes[end - 1].inputs) add(input);
  double ms = 0;
  for (const TensorIndex tensor : borders_) {
    if (IsInner(world_, tensor, begin, end)) continue;
    ms += BorderMs(batch * TensorBytes(graph_, tensor), rates_);
  }
  return ms;
}

bool TableBuilder::IsDense(TensorIndex tensor) const {
  const graph::RowShape rows = graph::RowsOf(graph_.shape(tensor));
  const View& view = world_.map.views[Position(tensor)];
  return rows.images == 1 && rows.rows > 1 && view.pitch == graph::PixelBytes(graph_, tensor);
}

const TableBuilder::Lives& TableBuilder::LivesOf(TensorIndex tensor) const {
  return lives_[Position(world_.map.views[Position(tensor)].storage)];
}

bool TableBuilder::CanBeOverwritten(TensorIndex tensor, NodeNumber begin, NodeNumber end) const {
  if (LastOf(tensor) >= end || !IsDense(tensor)) return false;
  // Nothing else of the storage may be needed from `begin` on.
  const Lives& lives = LivesOf(tensor);
  return lives.last == LastOf(tensor) && lives.last_but_one < static_cast<int64_t>(begin);
}

bool TableBuilder::CanOverwrite(TensorIndex tensor, NodeNumber begin, NodeNumber end) const {
  const NodeNumber maker = uses_.makers[Position(tensor)];
  if (maker == kNoNode || maker < begin || !IsDense(tensor)) return false;
  // Nothing else of the storage may have been made before `end`.
  const Lives& lives = LivesOf(tensor);
  return lives.by_maker[0] == tensor &&
         (lives.by_maker.size() == 1 || MakerOrNone(lives.by_maker[1]) >= int64_t{end});
}

void TableBuilder::AddOverlay(Stretch& stretch) const {
  uint64_t read_bytes = 0;
  uint64_t made_bytes = 0;
  const auto bytes_of = [this](TensorIndex tensor) {
    return world_.map.storages[Position(world_.map.views[Position(tensor)].storage)].bytes;
  };
  for (const TensorIndex tensor : live_[stretch.begin]) {
    if (bytes_of(tensor) <= read_bytes) continue;
    if (!CanBeOverwritten(tensor, stretch.begin, stretch.end)) continue;
    read_bytes = bytes_of(tensor);
    stretch.overlay.read = tensor;
  }
  if (read_bytes == 0) return;
  for (const TensorIndex tensor : live_[stretch.end]) {
    if (bytes_of(tensor) <= made_bytes) continue;
    if (!CanOverwrite(tensor, stretch.begin, stretch.end)) continue;
    made_bytes = bytes_of(tensor);
    stretch.overlay.made = tensor;
  }
  stretch.overlay_units_max = Units(std::min(read_bytes, made_bytes));
}

std::vector<Stretch> TableBuilder::From(NodeNumber begin) {
  std::vector<Stretch> stretches;
  touched_.clear();
  borders_.clear();
  sharers_.clear();
  Stretch grown;
  grown.begin = begin;
  uint64_t common = loads_[begin];
  std::array<uint32_t, kFlowCount> inner{};
  for (NodeNumber end = begin + 1; end <= count_; ++end) {
    const NodeNumber number = end - 1;
    const Node& node = graph_.nodes[number];
    const Traits& traits = traits_[number];
    if (end > begin + longest_) break;
    if (end > begin + 1 && (traits.has_images || traits_[begin].has_images)) break;
    if (traits.shares_with != NoIndex<TensorIndex>()) sharers_.push_back(number);
    for (const Resident& resident : ending_[end - 1]) {
      if (resident.first <= begin) common -= resident.bytes;
    }
    grown.end = end;
    grown.pool_bytes = loads_[begin] + loads_[end] - common;
    grown.elided = traits.elided && grown.single();
    if (grown.elided) {
      stretches.push_back(grown);
      grown.elided = false;
    }
    grown.workspace_bytes = std::max(grown.workspace_bytes, traits.workspace_bytes);
    if (traits.must_be_held) {
      grown.constant_bytes += static_cast<uint32_t>(traits.weight_bytes);
    } else {
      grown.slot_bytes = std::max(grown.slot_bytes, traits.chunk_bytes);
    }
    // A tensor outside that was touched may now be read up; one more reader widens its window.
    Touch(node.output, begin, end);
    for (const TensorIndex input : node.inputs) Touch(input, begin, end);
    grown.border_ms = static_cast<float>(BordersMs(begin, end));
    std::erase_if(touched_,
                  [&](const Touched& at) { return IsInner(world_, at.tensor, begin, end); });
    const auto add_inner = [&](TensorIndex tensor) {
      if (!IsInner(world_, tensor, begin, end)) return;
      for (uint32_t flow = 0; flow < kWholeFlow; ++flow) inner[flow] += RingUnits(tensor, flow);
    };
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const bool again =
          std::find(node.inputs.begin(), node.inputs.begin() + static_cast<ptrdiff_t>(i),
                    node.inputs[i]) != node.inputs.begin() + static_cast<ptrdiff_t>(i);
      if (!again && LastOf(node.inputs[i]) == number) add_inner(node.inputs[i]);
    }
    if (LastOf(node.output) == number) add_inner(node.output);  // nobody reads it
    if (!grown.single() && inner[0] * kPoolAlignment > bytes_max_) break;
    if (traits.elided && grown.single()) continue;
    if (!grown.single() && !MayShareStep(begin, end)) continue;
    Stretch& made = stretches.emplace_back(grown);
    made.window_units = inner;
    made.together = made.single() && world_.convoy->batch() > 1 && touched_.empty();
    for (const Touched& at : touched_) {
      for (uint32_t flow = 0; flow < kFlowCount; ++flow) made.window_units[flow] += at.units[flow];
      const uint64_t bytes = TensorBytes(graph_, at.tensor);
      const uint64_t blocks =
          BlockCount(AllRows(graph_, at.tensor), world_.block_rows[Position(at.tensor)]);
      made.transfer_ms +=
          static_cast<float>(world_.convoy->batch() * TransferMs(bytes, blocks, rates_));
    }
    if (!traits.has_images) AddOverlay(made);
  }
  return stretches;
}

}  // namespace

SegmentTable::SegmentTable(const World& world, uint64_t bytes_max, const MachineRates& rates)
    : world_(world) {
  TableBuilder builder(world, bytes_max, rates);
  const auto count = static_cast<NodeNumber>(world.graph->nodes.size());
  by_begin_.reserve(count);
  for (NodeNumber begin = 0; begin < count; ++begin) by_begin_.push_back(builder.From(begin));
}

uint64_t SegmentTable::OverlayBytes(const Stretch& stretch, uint32_t flow) const {
  if (stretch.overlay_units_max == 0 || flow >= kWholeFlow) return 0;
  const OverlayPair& pair = stretch.overlay;
  // Where the stretch begins decides which readers are still to come.
  const std::array<uint32_t, 4> key{stretch.begin, static_cast<uint32_t>(Position(pair.read)),
                                    static_cast<uint32_t>(Position(pair.made)), flow};
  const auto found = overlay_bytes_.find(key);
  if (found != overlay_bytes_.end()) return found->second;
  const int64_t below = (*world_.flows)[flow].BytesBelow(
      pair.read, ReadersIn(*world_.uses, pair.read, stretch.begin, stretch.end), pair.made);
  const Overlay overlay = OverlayOf(world_, pair, below);
  const uint64_t bytes = OverlaySaving(overlay, world_.map.storages[overlay.predecessor].bytes,
                                       world_.map.storages[overlay.successor].bytes);
  overlay_bytes_.emplace(key, bytes);
  return bytes;
}

}  // namespace coracle::plan
