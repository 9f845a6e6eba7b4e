#include "plan/test_pack_instance.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/checked.h"
#include "plan/plan.h"

namespace coracle::plan {
namespace {

constexpr std::string_view kHeader = "id,lower,upper,size";

/// The text before the next `end`, taken off `rest` with it.
std::string_view TakeUntil(std::string_view& rest, char end) {
  const std::string_view taken = rest.substr(0, rest.find(end));
  rest.remove_prefix(std::min(rest.size(), taken.size() + 1));
  return taken;
}

template <typename Number>
std::optional<Number> ParseNumber(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<Buffer> ParseLine(std::string_view line) {
  TakeUntil(line, ',');  // the id
  const auto lower = ParseNumber<StepNumber>(TakeUntil(line, ','));
  const auto upper = ParseNumber<StepNumber>(TakeUntil(line, ','));
  const auto size = ParseNumber<uint32_t>(TakeUntil(line, ','));
  if (!lower || !upper || !size || *lower >= *upper || *size == 0 || !line.empty()) {
    return std::nullopt;
  }
  return Buffer{RoundUp(*size, kPoolAlignment), *lower, *upper - 1};
}

}  // namespace

Result<std::vector<Buffer>> ParsePackInstance(std::string_view csv) {
  std::vector<Buffer> buffers;
  for (size_t number = 1; !csv.empty(); ++number) {
    std::string_view line = TakeUntil(csv, '\n');
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (number == 1) {
      if (line == kHeader) continue;
      return Error{Code::kMalformed, fmt::format("line 1: expected \"{}\"", kHeader)};
    }
    const std::optional<Buffer> buffer = ParseLine(line);
    if (!buffer) {
      return Error{Code::kMalformed,
                   fmt::format("line {}: expected id,lower,upper,size, lower < upper", number)};
    }
    buffers.push_back(*buffer);
  }
  return buffers;
}

std::string CheckPacking(std::span<const Buffer> buffers, std::span<const Overlay> overlays,
                         const Packing& packing) {
  if (packing.offsets.size() != buffers.size()) return "wrong number of offsets";
  const auto begin = [&](size_t i) { return static_cast<int64_t>(packing.offsets[i]); };
  const auto end = [&](size_t i) { return begin(i) + static_cast<int64_t>(buffers[i].bytes); };
  const auto may_overlap = [&](size_t a, size_t b) {
    return std::any_of(overlays.begin(), overlays.end(), [&](const Overlay& o) {
      return o.predecessor == a && o.successor == b &&
             (begin(b) <= begin(a) - o.below || begin(b) >= begin(a) + o.above);
    });
  };
  int64_t peak = 0;
  for (size_t i = 0; i < buffers.size(); ++i) {
    if (packing.offsets[i] % kPoolAlignment != 0) return fmt::format("{} is not aligned", i);
    peak = std::max(peak, end(i));
    for (size_t j = 0; j < i; ++j) {
      const bool meet = buffers[i].first <= buffers[j].last && buffers[j].first <= buffers[i].last;
      const bool overlap = begin(i) < end(j) && begin(j) < end(i);
      if (meet && overlap && !may_overlap(i, j) && !may_overlap(j, i)) {
        return fmt::format("{} and {} overlap", j, i);
      }
    }
  }
  return static_cast<uint64_t>(peak) == packing.pool_bytes ? "" : "pool_bytes is not the peak";
}

}  // namespace coracle::plan
