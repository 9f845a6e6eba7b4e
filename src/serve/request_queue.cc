#include "serve/request_queue.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "base/index.h"

namespace coracle::serve {

RequestQueue::Turn RequestQueue::TurnOf(const WaitingRequest& request) const {
  constexpr uint64_t kEnd = std::numeric_limits<uint64_t>::max();
  const uint64_t patience_ends_ns =
      request.arrival_ns < kEnd - aging_ns_ ? request.arrival_ns + aging_ns_ : kEnd;
  const uint64_t deadline_ns = request.deadline_ns == 0 ? kEnd : request.deadline_ns;
  return {std::min(deadline_ns, patience_ends_ns), request.id};
}

uint32_t RequestQueue::FlowLevel(uint32_t priority, uint64_t now_ns) const {
  const uint64_t since_ns = flows_[priority].unserved_since_ns;
  const uint64_t spans = now_ns > since_ns ? (now_ns - since_ns) / aging_ns_ : 0;
  return static_cast<uint32_t>(std::min<uint64_t>(priority + spans, kTopLevel));
}

uint32_t RequestQueue::Level(uint64_t now_ns) const {
  CORACLE_CHECK(count_ > 0);
  uint32_t level = 0;
  for (uint32_t priority = 0; priority < kPriorityCount; ++priority) {
    if (!flows_[priority].turns.empty()) level = std::max(level, FlowLevel(priority, now_ns));
  }
  return level;
}

uint64_t RequestQueue::unserved_since_ns() const {
  CORACLE_CHECK(count_ > 0);
  uint64_t since_ns = std::numeric_limits<uint64_t>::max();
  for (const Flow& flow : flows_) {
    if (!flow.turns.empty()) since_ns = std::min(since_ns, flow.unserved_since_ns);
  }
  return since_ns;
}

void RequestQueue::Add(const WaitingRequest& request) {
  Flow& flow = flows_[Position(request.priority)];
  if (flow.turns.empty()) flow.unserved_since_ns = request.arrival_ns;
  CORACLE_CHECK(flow.turns.insert(TurnOf(request)).second);
  ++count_;
}

void RequestQueue::Remove(const WaitingRequest& request) {
  CORACLE_CHECK(flows_[Position(request.priority)].turns.erase(TurnOf(request)) == 1);
  --count_;
}

std::vector<RequestId> RequestQueue::Take(uint32_t count, uint64_t now_ns) {
  CORACLE_CHECK(count <= count_);
  std::array<uint32_t, kPriorityCount> order{};
  for (uint32_t priority = 0; priority < kPriorityCount; ++priority) order[priority] = priority;
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    const uint32_t level_a = FlowLevel(a, now_ns);
    const uint32_t level_b = FlowLevel(b, now_ns);
    if (level_a != level_b) return level_a > level_b;
    if (flows_[a].unserved_since_ns != flows_[b].unserved_since_ns)
      return flows_[a].unserved_since_ns < flows_[b].unserved_since_ns;
    return a > b;
  });
  std::vector<RequestId> taken;
  taken.reserve(count);
  for (const uint32_t priority : order) {
    Flow& flow = flows_[priority];
    if (flow.turns.empty() || taken.size() == count) continue;
    while (!flow.turns.empty() && taken.size() < count) {
      taken.push_back(flow.turns.begin()->second);
      flow.turns.erase(flow.turns.begin());
    }
    flow.unserved_since_ns = now_ns;
  }
  count_ -= count;
  return taken;
}

}  // namespace coracle::serve
