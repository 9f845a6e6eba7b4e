#include "cmd/support/plan_timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/units.h"

namespace coracle::cmd {
namespace {

constexpr int kLeastColumns = 40;
constexpr int kMostCellsAStep = 8;
constexpr uint64_t kRows = 16;
constexpr int kGutter = 11;  // "  7.95 MiB "

struct Kind {
  std::string_view name;
  char mark;
};

/// The last one stands for kinds that are not known here.
constexpr std::array<Kind, 12> kKinds = {{{"tensor", '#'},
                                          {"ring", '='},
                                          {"source", '<'},
                                          {"sink", '>'},
                                          {"slot", 's'},
                                          {"workspace", 'w'},
                                          {"held", 'H'},
                                          {"pinned", 'P'},
                                          {"decoding", 'd'},
                                          {"counters", 'c'},
                                          {"staging", '~'},
                                          {"other", '?'}}};

struct Buffer {
  size_t kind;
  uint64_t begin;
  uint64_t end;
  int first;  // slots of time, both inclusive
  int last;
};

/// The slots of time are the steps, and one before or after them if a buffer lives there.
struct Timeline {
  std::vector<Buffer> buffers;
  uint64_t pool_bytes = 0;
  int step_count = 0;
  int slot_count = 0;
  int first_step = 0;  // the step of slot 0: 0, or -1
};

size_t KindIndex(std::string_view name) {
  const auto found = std::ranges::find(kKinds, name, &Kind::name);
  return found == kKinds.end() ? kKinds.size() - 1 : static_cast<size_t>(found - kKinds.begin());
}

Timeline Read(const Json& plan) {
  Timeline timeline;
  timeline.step_count = static_cast<int>(plan.at("steps").size());
  timeline.pool_bytes = plan.value("pool_bytes", uint64_t{0});
  int last_step = timeline.step_count - 1;
  for (const Json& json : plan.at("buffers")) {
    const uint64_t offset = json.at("offset");
    const uint64_t end = offset + json.at("bytes").get<uint64_t>();
    Buffer buffer{KindIndex(json.at("kind").get<std::string>()), offset, end,
                  std::max(json.at("first_step").get<int>(), -1),
                  std::min(json.at("last_step").get<int>(), timeline.step_count)};
    timeline.pool_bytes = std::max(timeline.pool_bytes, end);
    timeline.first_step = std::min(timeline.first_step, buffer.first);
    last_step = std::max(last_step, buffer.last);
    timeline.buffers.push_back(buffer);
  }
  for (Buffer& buffer : timeline.buffers) {
    buffer.first -= timeline.first_step;
    buffer.last -= timeline.first_step;
  }
  timeline.slot_count = last_step - timeline.first_step + 1;
  return timeline;
}

/// Bytes in use in one slot: of the union, since a buffer may be used in place of another.
uint64_t LiveBytes(const Timeline& timeline, int slot) {
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const Buffer& buffer : timeline.buffers) {
    if (buffer.first <= slot && slot <= buffer.last) ranges.emplace_back(buffer.begin, buffer.end);
  }
  std::ranges::sort(ranges);
  uint64_t sum = 0;
  uint64_t end = 0;
  for (const auto& [begin, stop] : ranges) {
    if (stop <= end) continue;
    sum += stop - std::max(begin, end);
    end = stop;
  }
  return sum;
}

/// How slots of time lie on the characters of a line: some characters each, or some to a character.
struct Columns {
  Columns(int slot_count, int width)
      : cells_a_slot(std::clamp(width / slot_count, 1, kMostCellsAStep)),
        count(std::min(slot_count * cells_a_slot, width)),
        slots(slot_count) {}

  int FirstSlot(int column) const { return At(column); }
  int LastSlot(int column) const { return std::max(At(column + 1) - 1, At(column)); }
  int At(int column) const { return static_cast<int>(int64_t{column} * slots / count); }
  /// The first column that shows the slot.
  int Of(int slot) const {
    int column = static_cast<int>(int64_t{slot} * count / slots);
    while (LastSlot(column) < slot) ++column;
    return column;
  }

  int cells_a_slot;
  int count;
  int slots;
};

/// The kind that fills most of the cell, if any touches it; free memory wins where it is the most.
char CellMark(const Timeline& timeline, int first_slot, int last_slot, uint64_t begin,
              uint64_t end) {
  std::array<uint64_t, kKinds.size()> area{};
  uint64_t used = 0;
  for (const Buffer& buffer : timeline.buffers) {
    const uint64_t from = std::max(buffer.begin, begin);
    const uint64_t to = std::min(buffer.end, end);
    const int first = std::max(buffer.first, first_slot);
    const int last = std::min(buffer.last, last_slot);
    if (from >= to || first > last) continue;
    const uint64_t bytes = (to - from) * static_cast<uint64_t>(last - first + 1);
    area[buffer.kind] += bytes;
    used += bytes;
  }
  const uint64_t all = (end - begin) * static_cast<uint64_t>(last_slot - first_slot + 1);
  const auto most = std::ranges::max_element(area);
  if (used == 0 || (used < all && all - used > *most)) return '.';
  return kKinds[static_cast<size_t>(most - area.begin())].mark;
}

/// The lines of the map, the highest addresses first.
std::vector<std::string> Map(const Timeline& timeline, const Columns& columns) {
  const uint64_t rows = std::min(kRows, timeline.pool_bytes);
  std::vector<std::string> lines;
  for (uint64_t row = rows; row-- > 0;) {
    const uint64_t begin = timeline.pool_bytes * row / rows;
    const uint64_t end = timeline.pool_bytes * (row + 1) / rows;
    std::string line;
    for (int column = 0; column < columns.count; ++column) {
      line += CellMark(timeline, columns.FirstSlot(column), columns.LastSlot(column), begin, end);
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

std::string SlotName(const Timeline& timeline, int slot) {
  const int step = slot + timeline.first_step;
  if (step < 0) return "before";
  return step < timeline.step_count ? fmt::format("{}", step) : "after";
}

/// The steps' numbers, as many as fit with two blanks between them.
std::string StepAxis(const Timeline& timeline, const Columns& columns, int width) {
  std::string axis;
  for (int slot = 0; slot < timeline.slot_count; ++slot) {
    const size_t at = static_cast<size_t>(columns.Of(slot));
    const std::string name = SlotName(timeline, slot);
    if (!axis.empty() && at < axis.size() + 2) continue;
    if (at + name.size() > static_cast<size_t>(width)) break;
    axis.resize(at, ' ');
    axis += name;
  }
  return axis;
}

std::string PeakLine(const Json& plan, const Timeline& timeline, const Columns& columns,
                     int width) {
  int peak = -timeline.first_step;
  uint64_t most = 0;
  for (int slot = peak; slot < timeline.step_count - timeline.first_step; ++slot) {
    const uint64_t live = LiveBytes(timeline, slot);
    if (live <= most) continue;
    most = live;
    peak = slot;
  }
  const Json& step = plan.at("steps").at(static_cast<size_t>(peak + timeline.first_step));
  std::string layers;
  if (const Json& names = step.at("layers"); !names.empty()) {
    layers = names.front().get<std::string>();
    if (names.size() > 1) layers += " to " + names.back().get<std::string>();
  }
  const size_t at = static_cast<size_t>(columns.Of(peak));
  std::string text = fmt::format("peak: {} in use at step {}, {}", FormatBytes(most),
                                 peak + timeline.first_step, layers);
  const size_t room = static_cast<size_t>(width);
  // A layer's name may be of any length, and hold anything.
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < ' ' || c >= 0x7f; }, '?');
  text.resize(std::min(text.size(), room - 2));
  if (at + 2 + text.size() <= room) return std::string(at, ' ') + "^ " + text;
  if (text.size() + 1 <= at) return std::string(at - text.size() - 1, ' ') + text + " ^";
  return std::string(at, ' ') + "^\n" + std::string(kGutter + 1, ' ') + text;
}

/// What each character means, and which kinds are too small or too short-lived to be seen.
std::string Legend(const Timeline& timeline, const std::vector<std::string>& lines) {
  std::string seen;
  std::string unseen;
  for (size_t i = 0; i < kKinds.size(); ++i) {
    if (std::ranges::none_of(timeline.buffers, [i](const Buffer& b) { return b.kind == i; })) {
      continue;
    }
    const bool shown = std::ranges::any_of(
        lines, [i](const std::string& line) { return line.find(kKinds[i].mark) != line.npos; });
    if (shown) {
      seen += fmt::format("{} {}   ", kKinds[i].mark, kKinds[i].name);
    } else {
      unseen += fmt::format("{}{}", unseen.empty() ? "" : ", ", kKinds[i].name);
    }
  }
  std::string legend = seen + ". free\n";
  if (!unseen.empty()) legend += fmt::format("too small to see: {}\n", unseen);
  return legend;
}

}  // namespace

std::string PlanTimeline(const Json& plan, int columns_wanted) {
  const Timeline timeline = Read(plan);
  if (timeline.step_count == 0 || timeline.buffers.empty() || timeline.pool_bytes == 0) return {};
  const int width = std::max(columns_wanted, kLeastColumns) - kGutter - 1;
  const Columns columns(timeline.slot_count, width);
  const std::vector<std::string> lines = Map(timeline, columns);
  std::string text;
  for (size_t i = 0; i < lines.size(); ++i) {
    // A label at the line's upper edge, every fourth line.
    const uint64_t edge = timeline.pool_bytes * (lines.size() - i) / lines.size();
    text +=
        fmt::format("{:>{}}|{}\n", i % 4 == 0 ? FormatBytes(edge) + " " : "", kGutter, lines[i]);
  }
  text += fmt::format("{:>{}}+{:-<{}}\n", "0 B ", kGutter, "", columns.count);
  text += fmt::format("{:>{}} {}\n", "step ", kGutter, StepAxis(timeline, columns, width));
  text += fmt::format("{:>{}} {}\n", "", kGutter, PeakLine(plan, timeline, columns, width));
  return text + Legend(timeline, lines);
}

}  // namespace coracle::cmd
