#include "cmd/characterize/pool_regions.h"

#include <algorithm>

#include "base/check.h"
#include "cmd/support/pool_buffers.h"

namespace coracle::cmd {
namespace {

TraceRegionKind KindOf(BufferKind kind) {
  switch (kind) {
    case BufferKind::kSlot:
    case BufferKind::kHeld:
    case BufferKind::kPinned:
    case BufferKind::kDecoding:
      return TraceRegionKind::kWeights;
    case BufferKind::kTensor:
    case BufferKind::kRing:
    case BufferKind::kSource:
    case BufferKind::kSink:
    case BufferKind::kStaging:
      return TraceRegionKind::kActivations;
    case BufferKind::kWorkspace:
    case BufferKind::kCounters:
      return TraceRegionKind::kWorkspace;
  }
  CORACLE_CHECK(false);
}

uint64_t End(const plan::PoolRange& range) { return range.offset + range.bytes; }

/// Buffers that lie over one another, as one range.
struct Shared {
  plan::PoolRange range;
  BufferKind kind = BufferKind::kTensor;
  std::vector<const PoolBuffer*> buffers;

  std::string Name() const {
    std::string all;
    for (const PoolBuffer* buffer : buffers) {
      if (buffer->range == range) return buffer->name;
      all += (all.empty() ? "" : ", ") + buffer->name;
    }
    return all;
  }
};

/// What lives at `moment` (a step, as PoolBuffer counts them), ascending and apart.
std::vector<Shared> LiveAt(const std::vector<PoolBuffer>& buffers, int moment) {
  std::vector<const PoolBuffer*> live;
  for (const PoolBuffer& buffer : buffers) {
    if (buffer.first_step <= moment && moment <= buffer.last_step) live.push_back(&buffer);
  }
  std::ranges::stable_sort(live, {}, [](const PoolBuffer* buffer) { return buffer->range.offset; });
  std::vector<Shared> apart;
  for (const PoolBuffer* buffer : live) {
    if (apart.empty() || buffer->range.offset >= End(apart.back().range)) {
      apart.push_back({buffer->range, buffer->kind, {buffer}});
      continue;
    }
    // The validator lets nothing overlap but tensors.
    Shared& shared = apart.back();
    CORACLE_CHECK(KindOf(buffer->kind) == KindOf(shared.kind));
    shared.range.bytes = std::max(End(shared.range), End(buffer->range)) - shared.range.offset;
    shared.buffers.push_back(buffer);
  }
  return apart;
}

}  // namespace

PoolRegions::PoolRegions(const graph::Graph& graph, const plan::Plan& plan, const std::byte* pool) {
  const std::vector<PoolBuffer> buffers = PoolBuffers(graph, plan);
  int count = 0;
  for (const plan::Step& step : plan.steps) {
    moment_of_step_.push_back(IsIdle(step) ? 0 : static_cast<size_t>(++count));
  }
  for (int moment = -1; moment <= count; ++moment) {
    std::vector<TraceRegion>& regions = moments_.emplace_back();
    for (const Shared& shared : LiveAt(buffers, moment)) {
      names_.push_back(shared.Name());
      regions.push_back({reinterpret_cast<uint64_t>(pool) + shared.range.offset, shared.range.bytes,
                         KindOf(shared.kind), names_.back().c_str()});
    }
  }
}

std::span<const TraceRegion> PoolRegions::DuringStep(size_t step) const {
  const size_t moment = moment_of_step_.at(step);
  if (moment == 0) return {};
  return moments_[moment];
}

}  // namespace coracle::cmd
