#include "characterize/advice/advice_buffers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string_view>

#include "base/units.h"
#include "characterize/advice/buffer_name.h"
#include "characterize/program/access_run.h"

namespace coracle::characterize {
namespace {

/// Of a group of buffers: smaller ones that load nothing to speak of are not worth a line.
constexpr uint64_t kGroupBytesLeast = 1 << 20;
constexpr double kLoadsShareLeast = 0.01;
/// Of all loads, in whatever little is left of them.
constexpr double kLoadsShareOfAllLeast = 0.001;
/// Bytes read over bytes there, up to which something counts as read once.
constexpr double kReadOnceMost = 1.25;

/// Of buffers that only training reads. What is counted as read of them are neighbours on the same
/// pages.
constexpr std::array<std::string_view, 6> kUnreadRoles = {"output gradient",    "weight gradients",
                                                          "bias gradients",     "pooling indices",
                                                          "normalization copy", "normalized copy"};

std::string Role(const Json& object) {
  return object.contains("role") ? object.at("role").get<std::string>() : "";
}

/// Predictions, or whatever the program marks in the same way (docs/epcrun.md): those that ended.
double Repetitions(const Json& findings) {
  uint64_t ended = 0;
  for (const Json& mark : findings.at("marks")) ended += Whole(mark, "label") % 2;
  return static_cast<double>(std::max<uint64_t>(ended, 1));
}

/// The sizes that were simulated, and which of them is the smallest.
struct EpcSizes {
  explicit EpcSizes(const Json& findings) : sizes(findings.at("epc").at("sizes")) {
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (bytes(i) < bytes(least)) least = i;
    }
  }
  uint64_t bytes(size_t i) const { return Whole(sizes[i], "bytes"); }
  uint64_t loads(size_t i) const { return Whole(sizes[i], "loads"); }

  const Json& sizes;
  size_t least = 0;
};

std::optional<Remedy> RemedyOf(const Json& object, uint64_t least_epc_loads, double repetitions) {
  const auto touched = static_cast<double>(Whole(object, "touched_bytes"));
  const auto read = static_cast<double>(Whole(object, "read_bytes"));
  const auto written = static_cast<double>(Whole(object, "written_bytes"));
  if (touched == 0) return std::nullopt;
  const std::string role = Role(object);
  if (std::ranges::find(kUnreadRoles, role) != kUnreadRoles.end()) return Remedy::kDrop;
  if (read == 0) return written >= touched / 2 ? std::optional(Remedy::kDrop) : std::nullopt;
  const bool read_once = read >= touched / 2 && read <= kReadOnceMost * touched * repetitions;
  if (read_once && (role.empty() || role == "weights")) return Remedy::kStream;
  return least_epc_loads > 0 ? std::optional(Remedy::kBand) : std::nullopt;
}

/// Buffers of which the same is to be said.
struct Group {
  Remedy remedy = Remedy::kBand;
  std::vector<size_t> positions;  // those with most loads first
  uint64_t touched_bytes = 0;
  uint64_t read_bytes = 0;
  uint64_t written_bytes = 0;
  uint64_t pages_apart = 0;  // the longest median distance
  std::vector<uint64_t> loads;
};

std::string KeyOf(const Json& object, Remedy remedy) {
  const std::string role = Role(object);
  const std::string who = role.empty() ? AllocatingFunction(object.at("path")) + "|" +
                                             MainUser(object.at("writers")) + "|" +
                                             MainUser(object.at("readers"))
                                       : "role " + role;
  return fmt::format("{}|{}", static_cast<int>(remedy), who);
}

void AddTo(Group& group, const Json& object, size_t position) {
  group.positions.push_back(position);
  group.touched_bytes += Whole(object, "touched_bytes");
  group.read_bytes += Whole(object, "read_bytes");
  group.written_bytes += Whole(object, "written_bytes");
  if (Whole(object, "page_returns") > 0) {
    group.pages_apart = std::max(group.pages_apart, Whole(object, "page_distance_median"));
  }
  const Json& loads = object.at("loads");
  group.loads.resize(loads.size());
  for (size_t i = 0; i < loads.size(); ++i) group.loads[i] += loads[i].get<uint64_t>();
}

uint64_t LoadsAt(const Json& object, size_t size) {
  const Json& loads = object.at("loads");
  return size < loads.size() ? loads[size].get<uint64_t>() : 0;
}

std::vector<Group> GroupBuffers(const Json& findings, const EpcSizes& epc) {
  const Json& objects = findings.at("objects");
  const double repetitions = Repetitions(findings);
  std::vector<size_t> order(objects.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return LoadsAt(objects[a], epc.least) > LoadsAt(objects[b], epc.least);
  });
  std::vector<Group> groups;
  std::map<std::string, size_t> by_key;
  for (const size_t i : order) {
    const auto remedy = RemedyOf(objects[i], LoadsAt(objects[i], epc.least), repetitions);
    if (!remedy) continue;
    const auto [place, is_new] = by_key.try_emplace(KeyOf(objects[i], *remedy), groups.size());
    if (is_new) groups.emplace_back().remedy = *remedy;
    AddTo(groups[place->second], objects[i], i);
  }
  return groups;
}

uint64_t LeastLoads(const Group& group, const EpcSizes& epc) {
  return epc.least < group.loads.size() ? group.loads[epc.least] : 0;
}

/// `loads_left`: those that remain once what costs more is mended. Beside one buffer that is loaded
/// hundreds of times over, all others are little; without it, they are everything.
bool IsWorthALine(const Group& group, const EpcSizes& epc, uint64_t loads_left) {
  const auto loads = static_cast<double>(LeastLoads(group, epc));
  const auto all = epc.sizes.empty() ? 0 : static_cast<double>(epc.loads(epc.least));
  const bool loads_much = loads > 0 && loads >= kLoadsShareOfAllLeast * all &&
                          loads >= kLoadsShareLeast * static_cast<double>(loads_left);
  return loads_much || (group.remedy != Remedy::kBand && group.touched_bytes >= kGroupBytesLeast);
}

/// Requires: those with most loads first.
void LeaveOutLittle(std::vector<Group>& groups, const EpcSizes& epc) {
  uint64_t left = epc.sizes.empty() ? 0 : epc.loads(epc.least);
  std::erase_if(groups, [&](const Group& group) {
    const bool little = !IsWorthALine(group, epc, left);
    left -= std::min(left, LeastLoads(group, epc));
    return little;
  });
}

std::string ShareOfLoads(const Group& group, const EpcSizes& epc, size_t i) {
  const double share =
      100.0 * static_cast<double>(group.loads[i]) / static_cast<double>(epc.loads(i));
  return fmt::format("{} of {} page loads ({:.0f} %) at an EPC of {}", group.loads[i], epc.loads(i),
                     share, FormatBytes(epc.bytes(i)));
}

/// At the smallest size, and at the largest where it still loads.
std::string Effect(const Group& group, const EpcSizes& epc) {
  const std::string frees =
      group.remedy == Remedy::kBand ? "" : "frees " + FormatBytes(group.touched_bytes);
  if (LeastLoads(group, epc) == 0) return frees;
  size_t most = epc.least;
  for (size_t i = 0; i < group.loads.size(); ++i) {
    if (group.loads[i] > 0 && epc.bytes(i) > epc.bytes(most)) most = i;
  }
  std::string text = fmt::format("{}{}spares up to {}", frees, frees.empty() ? "" : ", ",
                                 ShareOfLoads(group, epc, epc.least));
  if (most != epc.least) text += ", " + ShareOfLoads(group, epc, most);
  return text;
}

std::string BandNumber(const Group& group, const EpcSizes& epc) {
  const uint64_t distance = group.pages_apart << kPageShift;
  const uint64_t least = epc.bytes(epc.least);
  if (distance > least) {
    return fmt::format("median reuse distance {}, more than an EPC of {}", FormatBytes(distance),
                       FormatBytes(least));
  }
  const double pages = static_cast<double>(group.touched_bytes >> kPageShift);
  return fmt::format(
      "half of its touches come back within {}, yet each page is loaded {:.1f} "
      "times at an EPC of {}",
      FormatBytes(std::max<uint64_t>(distance, kPageBytes)),
      static_cast<double>(LeastLoads(group, epc)) / std::max(pages, 1.0), FormatBytes(least));
}

Advice AdviceOn(const Json& objects, const Group& group, const EpcSizes& epc) {
  Advice advice;
  advice.remedy = group.remedy;
  advice.positions = group.positions;
  advice.effect = Effect(group, epc);
  const std::string name = BuffersName(objects, group.positions);
  const bool one = group.positions.size() == 1;
  switch (group.remedy) {
    case Remedy::kDrop:
      advice.what = name + (one ? ": do not make it" : ": do not make them");
      advice.number = FormatBytes(group.written_bytes) + (Role(objects[group.positions[0]]).empty()
                                                              ? " written, never read"
                                                              : " written, for training alone");
      break;
    case Remedy::kStream:
      advice.what = name + (one ? ": stream it through a small buffer, do not keep it"
                                : ": stream them through a small buffer, do not keep them");
      advice.number = FormatBytes(group.read_bytes) + " read of it: each byte once";
      break;
    default:
      advice.what =
          name + (one ? ": work on a band of it at a time" : ": work on a band of each at a time");
      advice.number = BandNumber(group, epc);
  }
  return advice;
}

}  // namespace

std::vector<Advice> AdviseBuffers(const Json& findings) {
  std::vector<Advice> advice;
  if (!findings.contains("objects")) return advice;
  const EpcSizes epc(findings);
  std::vector<Group> groups = GroupBuffers(findings, epc);
  std::stable_sort(groups.begin(), groups.end(), [&epc](const Group& a, const Group& b) {
    return std::pair(LeastLoads(a, epc), a.touched_bytes) >
           std::pair(LeastLoads(b, epc), b.touched_bytes);
  });
  LeaveOutLittle(groups, epc);
  if (groups.size() > kBuffersAdvised) groups.resize(kBuffersAdvised);
  for (const Group& group : groups) {
    advice.push_back(AdviceOn(findings.at("objects"), group, epc));
  }
  return advice;
}

}  // namespace coracle::characterize
