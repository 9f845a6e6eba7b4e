#include "base/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace coracle {
namespace {

constexpr std::array<std::pair<std::string_view, uint64_t>, 5> kUnits = {{
    {"GiB", uint64_t{1} << 30},
    {"MiB", uint64_t{1} << 20},
    {"KiB", uint64_t{1} << 10},
    {"B", 1},
    {"", 1},
}};

}  // namespace

Result<uint64_t> ParseBytes(std::string_view text) {
  const auto refuse = [text] {
    return Error{Code::kInvalidArgument,
                 fmt::format("'{}' is not a size; write for example 64KiB, 8MiB or 1.5GiB", text)};
  };
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc() || !(number >= 0)) return refuse();
  std::string_view unit(parsed.ptr, static_cast<size_t>(end - parsed.ptr));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  for (const auto& [name, factor] : kUnits) {
    if (unit != name) continue;
    const double bytes = number * static_cast<double>(factor);
    if (!(bytes < 0x1p63) || bytes != std::floor(bytes)) return refuse();
    return static_cast<uint64_t>(bytes);
  }
  return refuse();
}

std::string FormatBytes(uint64_t bytes) {
  for (const auto& [name, factor] : kUnits) {
    if (bytes < factor || factor == 1) continue;
    const double value = static_cast<double>(bytes) / static_cast<double>(factor);
    if (value >= 100) return fmt::format("{:.0f} {}", value, name);
    std::string digits = value >= 10 ? fmt::format("{:.1f}", value) : fmt::format("{:.2f}", value);
    while (digits.back() == '0') digits.pop_back();
    if (digits.back() == '.') digits.pop_back();
    return fmt::format("{} {}", digits, name);
  }
  return fmt::format("{} B", bytes);
}

}  // namespace coracle
