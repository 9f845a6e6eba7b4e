#include "cmd/characterize/object_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "base/units.h"
#include "characterize/advice/buffer_name.h"
#include "cmd/characterize/grouped.h"

namespace coracle::cmd {
namespace {

using characterize::kPageBytes;
using characterize::MainUser;
using characterize::ShortFunction;
using characterize::ShortPath;
using characterize::Whole;

constexpr size_t kObjectsShown = 16;
constexpr size_t kCallPathsShown = 10;
constexpr size_t kFunctionsShown = 12;
constexpr size_t kNameWidth = 46;
constexpr size_t kUserWidth = 18;

/// The smallest EPC size that was simulated.
class LeastEpc {
 public:
  explicit LeastEpc(const Json& findings) {
    const Json& sizes = findings.at("epc").at("sizes");
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (Whole(sizes[i], "bytes") >= bytes_) continue;
      bytes_ = Whole(sizes[i], "bytes");
      index_ = i;
    }
    any_ = !sizes.empty();
  }
  uint64_t Loads(const Json& row) const {
    const Json& loads = row.at("loads");
    return any_ && index_ < loads.size() ? loads[index_].get<uint64_t>() : 0;
  }
  std::string Column(const Json& row) const {
    return any_ ? fmt::format(" {:>14}", Grouped(Loads(row))) : "";
  }
  std::string Head() const {
    return any_ ? fmt::format(" {:>14}", "loads " + FormatBytes(bytes_)) : "";
  }

 private:
  bool any_ = false;
  uint64_t bytes_ = UINT64_MAX;
  size_t index_ = 0;
};

/// Rows with most loads first; where those are equal, in the order that they have.
std::vector<const Json*> ByLoads(const Json& rows, const LeastEpc& epc) {
  std::vector<const Json*> order;
  for (const Json& row : rows) order.push_back(&row);
  std::stable_sort(order.begin(), order.end(),
                   [&epc](const Json* a, const Json* b) { return epc.Loads(*a) > epc.Loads(*b); });
  return order;
}

bool Has(const Json& findings, const char* key) {
  return findings.contains(key) && !findings.at(key).empty();
}

std::string Others(size_t count, size_t shown, const char* what) {
  return count > shown ? fmt::format("{} more {}\n", count - shown, what) : "";
}

std::string NameOf(const Json& object) {
  if (!object.contains("role")) {
    const std::string ordinal = fmt::format(" #{}", Whole(object, "ordinal"));
    return ShortPath(object.at("path"), kNameWidth - ordinal.size()) + ordinal;
  }
  std::string name = object.at("role").get<std::string>();
  if (object.contains("layer")) name += " of " + object.at("layer").get<std::string>();
  return name.size() <= kNameWidth ? name : name.substr(0, kNameWidth - 3) + "...";
}

std::string MedianReuse(const Json& object) {
  if (Whole(object, "page_returns") == 0) return "never";
  return "< " + FormatBytes((Whole(object, "page_distance_median") + 1) * kPageBytes);
}

std::string UserColumn(const Json& users) {
  const std::string name = MainUser(users);
  return name.empty() ? "-" : ShortFunction(name, kUserWidth);
}

}  // namespace

std::string ObjectTable(const Json& findings) {
  if (!Has(findings, "objects")) return "";
  const LeastEpc epc(findings);
  const std::vector<const Json*> objects = ByLoads(findings.at("objects"), epc);
  std::string text =
      fmt::format("\n{:<{}}{:>10} {:>10} {:>10} {:>10} {:>12}{}  {:<{}} {}\n",
                  "allocations of at least 4 KiB", kNameWidth, "bytes", "touched", "read",
                  "written", "median reuse", epc.Head(), "written by", kUserWidth, "read by");
  for (size_t i = 0; i < std::min(objects.size(), kObjectsShown); ++i) {
    const Json& object = *objects[i];
    text += fmt::format(
        "{:<{}}{:>10} {:>10} {:>10} {:>10} {:>12}{}  {:<{}} {}\n", NameOf(object), kNameWidth,
        FormatBytes(Whole(object, "bytes")), FormatBytes(Whole(object, "touched_bytes")),
        FormatBytes(Whole(object, "read_bytes")), FormatBytes(Whole(object, "written_bytes")),
        MedianReuse(object), epc.Column(object), UserColumn(object.at("writers")), kUserWidth,
        UserColumn(object.at("readers")));
  }
  return text + Others(objects.size(), kObjectsShown, "of those that were touched most");
}

std::string CallPathTable(const Json& findings) {
  if (!Has(findings, "call_paths")) return "";
  const LeastEpc epc(findings);
  const std::vector<const Json*> paths = ByLoads(findings.at("call_paths"), epc);
  std::string text = fmt::format("\n{:<{}}{:>12} {:>10} {:>10} {:>10} {:>10} {:>10}{}\n",
                                 "allocated by", kNameWidth, "allocations", "bytes", "live at most",
                                 "touched", "read", "written", epc.Head());
  for (size_t i = 0; i < std::min(paths.size(), kCallPathsShown); ++i) {
    const Json& path = *paths[i];
    text += fmt::format(
        "{:<{}}{:>12} {:>10} {:>12} {:>10} {:>10} {:>10}{}\n",
        ShortPath(path.at("path"), kNameWidth), kNameWidth, Grouped(Whole(path, "allocations")),
        FormatBytes(Whole(path, "bytes")), FormatBytes(Whole(path, "live_bytes_max")),
        FormatBytes(Whole(path, "touched_bytes")), FormatBytes(Whole(path, "read_bytes")),
        FormatBytes(Whole(path, "written_bytes")), epc.Column(path));
  }
  return text + Others(paths.size(), kCallPathsShown, "such paths");
}

std::string FunctionTable(const Json& findings) {
  if (!Has(findings, "functions")) return "";
  const LeastEpc epc(findings);
  const Json& functions = findings.at("functions");
  std::string text = fmt::format("\n{:<{}}{:<22} {:>16} {:>10} {:>10}{}\n", "functions by accesses",
                                 kNameWidth, "of", "accesses", "read", "written", epc.Head());
  for (size_t i = 0; i < std::min(functions.size(), kFunctionsShown); ++i) {
    const Json& function = functions[i];
    text += fmt::format("{:<{}}{:<22} {:>16} {:>10} {:>10}{}\n",
                        ShortFunction(function.at("name").get<std::string>(), kNameWidth - 1),
                        kNameWidth, ShortFunction(function.at("file").get<std::string>(), 22),
                        Grouped(Whole(function, "accesses")),
                        FormatBytes(Whole(function, "read_bytes")),
                        FormatBytes(Whole(function, "written_bytes")), epc.Column(function));
  }
  return text + Others(functions.size(), kFunctionsShown, "functions");
}

std::string SmallAllocations(const Json& findings) {
  std::string text;
  if (findings.contains("allocations") && !findings.at("allocations").at("followed").get<bool>()) {
    const Json& why = findings.at("allocations").at("why_not");
    text = fmt::format("\nallocations were not followed: {}\n",
                       why.is_string() ? why.get<std::string>() : "the reason is not known");
  }
  if (!findings.contains("small_allocations")) return text;
  std::string sizes;
  for (const Json& size : findings.at("small_allocations")) {
    if (Whole(size, "count") == 0) continue;
    sizes += fmt::format("{}{} of at most {} B ({})", sizes.empty() ? "" : ", ",
                         Grouped(Whole(size, "count")), Whole(size, "bytes_max"),
                         FormatBytes(Whole(size, "bytes")));
  }
  return sizes.empty() ? text : text + "small allocations: " + sizes + "\n";
}

}  // namespace coracle::cmd
