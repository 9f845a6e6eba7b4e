// Search: which stretches become steps, with how many rows at a time, and whose weights are held.
//
// Shortest paths over cuts: an edge is a stretch done in the fastest way that stays within a number
// of bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "plan/node_times.h"
#include "plan/segments.h"

namespace coracle::plan {

/// One step to be: a stretch and how it is done.
struct Segment {
  Stretch stretch;
  uint32_t flow = kWholeFlow;
  uint32_t workers = 1;
  bool overlays = false;
  std::vector<bool> held;  ///< by node of the stretch: weights opened once, before its first action
  std::vector<Split> streamed_splits;  ///< by node of the stretch
  std::vector<Split> held_splits;
};

/// Segments that cover all nodes.
struct Choice {
  std::vector<Segment> segments;
  double ms = 0;
};

class Search {
 public:
  /// `times` by number of workers, most first, the last for one. All must outlive the search.
  Search(const SegmentTable& table, const std::vector<NodeTimes>& times, Passes passes);

  /// The least number of bytes for which Fastest() finds anything, with one worker.
  uint64_t LeastBytes() const;

  /// The fastest choice in which no segment takes more than `bytes`; none that takes `ms_max` or
  /// more.
  std::optional<Choice> Fastest(uint64_t bytes, double ms_max) const;

 private:
  struct Way {
    uint32_t flow = 0;
    uint32_t times = 0;  // index into times_
    bool overlays = false;
    bool holds_all = false;
    double ms = 0;
  };
  struct Needs {
    uint64_t streamed = 0;  // bytes if every weight is streamed (kSingle: unlimited)
    uint64_t held = 0;      // bytes if all that is holdable is held
  };

  /// False for flows of whole layers that the stretch cannot be done in.
  static bool IsPossible(const Stretch& stretch, uint32_t flow) {
    return flow < kWholeFlow || (flow == kWholeFlow ? stretch.single() : stretch.together);
  }
  Needs NeedsOf(const Stretch& stretch, uint32_t flow, uint32_t times) const;
  std::optional<Way> FastestWay(const Stretch& stretch, uint64_t bytes, double ms_max) const;
  /// What lies too far away if a stretch holds all that is holdable.
  double FarMs(const Stretch& stretch, uint32_t flow, uint32_t times) const;
  /// Which weights to hold in the bytes left over; returns milliseconds saved against streaming.
  double Hold(const Stretch& stretch, const Way& way, uint64_t bytes,
              std::vector<bool>* held) const;
  uint64_t LeastNeed(const Stretch& stretch, uint64_t useful_bytes) const;
  Segment MakeSegment(const Stretch& stretch, const Way& way, uint64_t bytes) const;
  bool OpensOnce(NodeNumber node, uint32_t flow) const;
  void AddUp(uint32_t times, uint32_t flow);
  bool IsHoldable(uint32_t times, uint32_t flow, NodeNumber node) const;
  void FindTails();

  const SegmentTable& table_;
  const std::vector<NodeTimes>& times_;
  const Passes passes_;
  NodeNumber count_ = 0;
  uint64_t decoding_bytes_ = 0;  // of one worker, in every step
  /// Of one flow and number of workers. Sums are those before each node.
  struct Sums {
    std::vector<WeightSaving> holdable;     // by node
    std::vector<uint32_t> holdable_begins;  // where each node's is
    std::vector<uint64_t> holdable_bytes;
    std::vector<uint32_t> streamed;  // nodes that stream even if there is room to hold
    std::vector<double> held_ms;     // all that is holdable held
    std::vector<double> far_ms;      // NodeTime::far_ms of what is then held
    std::vector<double> streamed_ms;
    std::vector<uint32_t> divided;  // nodes whose work is divided in either way
  };
  const Sums& SumsOf(uint32_t times, uint32_t flow) const { return sums_[times][flow]; }

  std::vector<std::array<Sums, kFlowCount>> sums_;  // by times
  std::vector<double> tails_ms_;  // by cut: no choice takes less for the nodes behind it
  mutable std::vector<WeightSaving> ranked_;
};

}  // namespace coracle::plan
