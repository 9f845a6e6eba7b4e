#include "characterize/advice/buffer_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/units.h"

namespace coracle::characterize {
namespace {

constexpr char kUnknown[] = "an unknown function";
constexpr char kCut[] = "...";
constexpr size_t kLayersNamed = 4;
constexpr size_t kFunctionWidth = 40;
constexpr std::array<std::string_view, 16> kAllocators = {
    "malloc",        "calloc",  "realloc", "reallocarray", "posix_memalign", "aligned_alloc",
    "memalign",      "valloc",  "xmalloc", "xcalloc",      "xrealloc",       "strdup",
    "__libc_malloc", "getline", "strndup", "__libc_calloc"};
constexpr std::array<std::string_view, 4> kLibraryPrefixes = {"operator new",
                                                              "std::", "__gnu_cxx::", "void std::"};

bool BelongsToLibrary(const std::string& function) {
  return std::find(kAllocators.begin(), kAllocators.end(), function) != kAllocators.end() ||
         std::any_of(kLibraryPrefixes.begin(), kLibraryPrefixes.end(),
                     [&function](std::string_view prefix) { return function.starts_with(prefix); });
}

/// Position of the innermost function of the program's own; the path's size if there is none.
size_t Innermost(const Json& path) {
  size_t i = 0;
  while (i < path.size() && BelongsToLibrary(path[i].get<std::string>())) ++i;
  return i;
}

std::string TextAt(const Json& json, const char* key) {
  return json.contains(key) && json.at(key).is_string() ? json.at(key).get<std::string>() : "";
}

/// "output" of one layer, "outputs" of several; "weights" of any.
std::string RoleOf(const std::string& role, size_t count) {
  return count > 1 && !role.ends_with('s') ? role + "s" : role;
}

std::string LayersOf(const Json& objects, const std::vector<size_t>& positions) {
  std::string text;
  size_t named = 0;
  for (const size_t i : positions) {
    const std::string layer = TextAt(objects[i], "layer");
    if (layer.empty()) continue;
    if (named++ == kLayersNamed) break;
    text += (text.empty() ? "" : ", ") + layer;
  }
  if (positions.size() > kLayersNamed) {
    text += fmt::format(" and {} more", positions.size() - kLayersNamed);
  }
  return text;
}

std::string UsersOf(const Json& object) {
  const std::string writer = MainUser(object.at("writers"));
  const std::string reader = MainUser(object.at("readers"));
  if (writer.empty() && reader.empty()) return "";
  if (writer == reader) return fmt::format(" (written and read by {})", writer);
  return fmt::format(" ({}{}{}{}{})", writer.empty() ? "" : "written by ", writer,
                     writer.empty() || reader.empty() ? "" : ", ", reader.empty() ? "" : "read by ",
                     reader);
}

}  // namespace

std::string ShortFunction(const std::string& name, size_t width) {
  // "operator()(int)" begins with a parenthesis that is its name.
  const size_t own = name.find("operator()");
  const size_t parameters = name.find('(', own == std::string::npos ? 0 : own + 10);
  std::string text = name.substr(0, parameters == 0 ? std::string::npos : parameters);
  if (text.size() <= width) return text;
  // The end tells more than the namespaces before it.
  if (width <= sizeof(kCut)) return text.substr(0, width);
  return kCut + text.substr(text.size() - (width - (sizeof(kCut) - 1)));
}

std::string AllocatingFunction(const Json& path) {
  const size_t i = Innermost(path);
  if (i < path.size()) return path[i].get<std::string>();
  return path.empty() ? kUnknown : path.back().get<std::string>();
}

std::string ShortPath(const Json& path, size_t width) {
  std::string text = ShortFunction(AllocatingFunction(path), width);
  for (size_t i = Innermost(path) + 1; i < path.size(); ++i) {
    const std::string more = " < " + ShortFunction(path[i].get<std::string>(), width);
    if (text.size() + more.size() > width) break;
    text += more;
  }
  return text;
}

std::string MainUser(const Json& users) {
  return users.empty() ? "" : ShortFunction(TextAt(users[0], "function"), kFunctionWidth);
}

std::string BuffersName(const Json& objects, const std::vector<size_t>& positions) {
  const Json& first = objects.at(positions.front());
  uint64_t bytes = 0;
  for (const size_t i : positions) bytes += objects[i].at("bytes").get<uint64_t>();
  const std::string role = TextAt(first, "role");
  const std::string layers = LayersOf(objects, positions);
  std::string name;
  if (role.empty()) {
    const std::string function =
        ShortFunction(AllocatingFunction(first.at("path")), kFunctionWidth);
    name = positions.size() == 1 ? "buffer of " + function
                                 : fmt::format("{} buffers of {}", positions.size(), function);
    name += UsersOf(first);
  } else {
    name = RoleOf(role, positions.size());
    // A workspace serves many layers.
    if (!layers.empty()) {
      name += role.ends_with("workspace") ? fmt::format(" (largest: {})", layers) : " of " + layers;
    }
  }
  return fmt::format("{}, {}{}", name, FormatBytes(bytes), positions.size() > 1 ? " in all" : "");
}

}  // namespace coracle::characterize
