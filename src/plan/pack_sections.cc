#include "plan/pack_sections.h"

#include <algorithm>

namespace coracle::plan {
namespace {

/// By section: the step at which its first buffers to end are gone. A live set is maximal where a
/// buffer ends after another began.
std::vector<StepNumber> SectionEnds(std::span<const Buffer> buffers) {
  struct Event {
    StepNumber step;
    bool begins;
  };
  std::vector<Event> events;
  events.reserve(2 * buffers.size());
  for (const Buffer& buffer : buffers) {
    events.push_back({buffer.first, true});
    events.push_back({buffer.last + 1, false});
  }
  std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
    return a.step != b.step ? a.step < b.step : !a.begins && b.begins;
  });
  std::vector<StepNumber> ends;
  bool grown = false;
  for (const Event& event : events) {
    if (!event.begins && grown) ends.push_back(event.step);
    grown = event.begins;
  }
  return ends;
}

}  // namespace

uint64_t Sections::HighestLoad() const {
  return loads.empty() ? 0 : *std::max_element(loads.begin(), loads.end());
}

SectionRange Intersection(SectionRange a, SectionRange b) {
  return {std::max(a.begin, b.begin), std::min(a.end, b.end)};
}

Sections SectionsOf(std::span<const Buffer> buffers, std::span<const Overlay> overlays) {
  const std::vector<StepNumber> ends = SectionEnds(buffers);
  const auto ended = [&ends](StepNumber step) {
    return static_cast<uint32_t>(std::upper_bound(ends.begin(), ends.end(), step) - ends.begin());
  };
  Sections sections;
  sections.loads.resize(ends.size());
  for (const Buffer& buffer : buffers) {
    const SectionRange range{ended(buffer.first), ended(buffer.last + 1)};
    sections.ranges.push_back(range);
    for (uint32_t s = range.begin; s < range.end; ++s) sections.loads[s] += buffer.bytes;
  }
  for (const Overlay& overlay : overlays) {
    const uint64_t saving = OverlaySaving(overlay, buffers[overlay.predecessor].bytes,
                                          buffers[overlay.successor].bytes);
    const SectionRange range =
        Intersection(sections.ranges[overlay.predecessor], sections.ranges[overlay.successor]);
    for (uint32_t s = range.begin; s < range.end; ++s) sections.loads[s] -= saving;
  }
  return sections;
}

}  // namespace coracle::plan
