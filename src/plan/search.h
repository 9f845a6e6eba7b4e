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
  const Stretch* stretch = nullptr;
  uint32_t flow = kWholeFlow;
  uint32_t workers = 1;
  bool overlays = false;
  std::vector<bool> held;  ///< by node of the stretch: weights opened once, before its first action
  std::vector<Split> streamed_splits;  ///< by node of the stretch
  std::vector<Split> held_splits;
  double ms = 0;
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
    uint64_t held = 0;      // bytes if all weights that would be opened twice are held
  };

  Needs NeedsOf(const Stretch& stretch, uint32_t flow, uint32_t workers) const;
  std::optional<Way> FastestWay(const Stretch& stretch, uint64_t bytes, double ms_max) const;
  /// Which weights to hold in the bytes left over; returns milliseconds saved against streaming.
  double Hold(const Stretch& stretch, const Way& way, uint64_t bytes,
              std::vector<bool>* held) const;
  uint64_t LeastNeed(const Stretch& stretch, uint64_t useful_bytes) const;
  Segment MakeSegment(const Stretch& stretch, const Way& way, uint64_t bytes) const;
  bool OpensOnce(NodeNumber node, uint32_t flow) const;
  void ListHoldable(uint32_t times, uint32_t flow);
  void FindTails();

  const SegmentTable& table_;
  const std::vector<NodeTimes>& times_;
  const Passes passes_;
  NodeNumber count_ = 0;
  // By flow, sums before each node: weights that several firings would open again and again, and
  // how many nodes open theirs in one firing.
  std::array<std::vector<uint64_t>, kFlowCount> repeated_bytes_;
  std::array<std::vector<uint32_t>, kFlowCount> opened_once_;

  /// Weights that gain from being held.
  struct Holdable {
    double density;  // milliseconds saved a byte
    double saved_ms;
    uint64_t bytes;
    NodeNumber node;
  };
  /// Of one flow and number of workers: by node, and where each node's begins.
  struct HoldableList {
    std::vector<Holdable> items;
    std::vector<uint32_t> begins;
  };
  std::vector<std::array<HoldableList, kFlowCount>> holdable_;  // by times
  std::vector<double> tails_ms_;  // by cut: no choice takes less for the nodes behind it
  mutable std::vector<Holdable> ranked_;
};

}  // namespace coracle::plan
