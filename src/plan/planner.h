// Planner: everything that the plans of one graph have in common, worked out once; then a plan for
// each budget. MakePlan() and FindLeastBudget() are this, used once.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "graph/convoy.h"
#include "graph/graph.h"
#include "plan/node_times.h"
#include "plan/plan.h"
#include "plan/search.h"
#include "plan/segments.h"

namespace coracle::plan {

class Planner {
 public:
  /// What `convoy` was made of must outlive the planner. Requires: a verified, packed kRows graph;
  /// 1 <= threads <= kMaxThreads.
  Planner(const graph::Convoy& convoy, const MachineRates& rates, uint32_t threads);
  Planner(const graph::Graph& graph, const MachineRates& rates, uint32_t threads)
      : Planner(graph::Convoy(graph), rates, threads) {}
  ~Planner();

  /// As MakePlan().
  Result<Plan> Make(uint64_t budget_bytes, Pinning pinning, Passes passes);

  /// The plan with the smallest pool, one worker. Whatever the rates, its size is the same.
  const Plan& Least(Passes passes);

 private:
  struct Candidate;
  struct WorldSearch;
  /// The graph in one order of its nodes, and what follows from that alone.
  struct Order {
    /// What `in_order` was made of must outlive it.
    Order(const graph::Convoy& in_order, std::vector<graph::NodeIndex> by_number,
          const MachineRates& rates, uint32_t threads);
    Order(const Order&) = delete;
    Order& operator=(const Order&) = delete;

    const graph::Convoy convoy;
    const graph::Graph& graph;                  // for one input
    const std::vector<graph::NodeIndex> nodes;  // by NodeNumber: the caller's
    const Uses uses;
    const std::vector<LiveRange> ranges;
    std::vector<RowFlow> flows;
    std::vector<uint64_t> least_scratch_bytes;
    std::vector<NodeTimes> default_times;  // one worker
    std::vector<NodeTimes> times;          // most workers first
  };

  /// Made when they are first asked for.
  std::vector<const WorldSearch*> Worlds(Passes passes);
  void AddWorlds(const Order& order, uint64_t spill_bytes);
  /// From the largest one within the budget down.
  std::vector<uint64_t> Levels(uint64_t budget_bytes, Passes passes);
  /// Finds the fastest choice of each level.
  void Seek(const std::vector<uint64_t>& levels, Passes passes);
  std::optional<Plan> Try(const Candidate& candidate, uint64_t budget_bytes, Pinning pinning) const;

  const graph::Convoy convoy_;
  const graph::Graph& graph_;
  const MachineRates rates_;
  uint64_t helpers_decoding_bytes_ = 0;         // of all workers but the first
  std::optional<graph::Graph> reordered_;       // of the second order
  std::vector<std::unique_ptr<Order>> orders_;  // the caller's first
  std::deque<WorldSearch> worlds_;  // those that spill nothing first; they stay in place
  size_t unspilled_count_ = 0;
  std::optional<Plan> least_[2];
  std::map<uint64_t, std::optional<Candidate>> candidates_[2];  // by Passes, then level
};

}  // namespace coracle::plan
