// RequestQueue: the requests that wait for one model, in the order of their turns.
//
// Requests of one priority form a flow. A flow gains one level for each aging span in which it
// waits without being served, up to the highest priority's; being served takes it back to its own.
// Aging belongs to the flow and not to each request, so that a model which is flooded does not
// overtake others by the length of its own queue.
//
// Within a flow the earliest deadline goes first, but a request passes only those that came less
// than one aging span before it: so whoever waits is passed by finitely many.
#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "serve/scheduler.h"

namespace coracle::serve {

inline constexpr uint32_t kPriorityCount = 3;
inline constexpr uint32_t kTopLevel = kPriorityCount - 1;

struct WaitingRequest {
  RequestId id{};
  Priority priority = Priority::kNormal;
  uint64_t arrival_ns = 0;
  uint64_t deadline_ns = 0;  ///< 0: none
};

/// Threads: one at a time. Times must not run backwards.
class RequestQueue {
 public:
  explicit RequestQueue(uint64_t aging_ns) : aging_ns_(aging_ns) {}

  uint32_t count() const { return count_; }
  /// The level of the flow whose turn comes first. Requires: count() > 0.
  uint32_t Level(uint64_t now_ns) const;
  /// Since when the flow that has gone unserved the longest waits. Requires: count() > 0.
  uint64_t unserved_since_ns() const;

  /// Requires: no request of the same id waits.
  void Add(const WaitingRequest& request);
  /// Requires: `request`, as it was added, waits.
  void Remove(const WaitingRequest& request);
  /// The first `count` in the order of their turns: flow after flow, by level, then by how long
  /// each has gone unserved. All flows that give one are served. Requires: count <= count().
  std::vector<RequestId> Take(uint32_t count, uint64_t now_ns);

 private:
  using Turn = std::pair<uint64_t, RequestId>;  ///< by when it is its turn, by its own wish
  struct Flow {
    std::set<Turn> turns;
    uint64_t unserved_since_ns = 0;
  };

  Turn TurnOf(const WaitingRequest& request) const;
  uint32_t FlowLevel(uint32_t priority, uint64_t now_ns) const;

  const uint64_t aging_ns_;
  std::array<Flow, kPriorityCount> flows_;
  uint32_t count_ = 0;
};

}  // namespace coracle::serve
