#include "characterize/digests/trace_comparison.h"

#include <algorithm>
#include <map>
#include <utility>

#include "characterize/digests/digest_findings.h"

namespace coracle::characterize {
namespace {

/// What one run counted at one place in the code.
struct Place {
  uint64_t order = 0;  ///< of its first run
  uint64_t count = 0;
  uint64_t digest = 0;
  uint64_t pages = 0;  ///< of an instruction
};
using Place2 = std::pair<Place, Place>;  ///< in the first run, in the second

struct BlockKey {
  uint64_t address = 0;
  uint64_t last_instruction = 0;
  auto operator<=>(const BlockKey&) const = default;
};

/// How many times more each instruction ran in the second trace: the sum over the blocks that it
/// lies in, at the address and from there to the next entry.
class ExtraRuns {
 public:
  void Add(const BlockKey& block, int64_t more) {
    steps_[block.address] += more;
    steps_[block.last_instruction + 1] -= more;
  }
  /// Call once, after all Add.
  void Sum() {
    int64_t sum = 0;
    for (auto& [address, step] : steps_) step = sum += step;
  }
  int64_t At(uint64_t address) const {
    const auto behind = steps_.upper_bound(address);
    return behind == steps_.begin() ? 0 : std::prev(behind)->second;
  }

 private:
  std::map<uint64_t, int64_t> steps_;
};

Place2& In(std::map<BlockKey, Place2>& blocks, const Json& row) {
  return blocks[{row.at(0).get<uint64_t>(), row.at(1).get<uint64_t>()}];
}

Place BlockPlace(const Json& row) {
  return {row.at(2).get<uint64_t>(), row.at(3).get<uint64_t>(), row.at(4).get<uint64_t>()};
}

std::map<BlockKey, Place2> ReadBlocks(const Json& first, const Json& second) {
  std::map<BlockKey, Place2> blocks;
  for (const Json& row : first.at("blocks")) In(blocks, row).first = BlockPlace(row);
  for (const Json& row : second.at("blocks")) In(blocks, row).second = BlockPlace(row);
  return blocks;
}

Place InstructionPlace(const Json& row) {
  return {row.at(1).get<uint64_t>(), row.at(2).get<uint64_t>(), row.at(3).get<uint64_t>(),
          row.at(4).get<uint64_t>()};
}

std::map<uint64_t, Place2> ReadInstructions(const Json& first, const Json& second) {
  std::map<uint64_t, Place2> all;
  for (const Json& row : first.at("instructions")) {
    all[row.at(0).get<uint64_t>()].first = InstructionPlace(row);
  }
  for (const Json& row : second.at("instructions")) {
    all[row.at(0).get<uint64_t>()].second = InstructionPlace(row);
  }
  return all;
}

struct Ordered {
  uint64_t order = 0;
  CodeDifference difference;
};

/// What ran in the second trace alone comes behind.
uint64_t OrderOf(const Place2& place) {
  constexpr uint64_t kBehind = uint64_t{1} << 32;
  return place.first.count != 0 ? place.first.order : kBehind + place.second.order;
}

void CompareBlocks(const std::map<BlockKey, Place2>& blocks, ExtraRuns& extra,
                   std::vector<Ordered>& found) {
  for (const auto& [key, place] : blocks) {
    const auto& [a, b] = place;
    extra.Add(key, static_cast<int64_t>(b.count - a.count));
    if (a.count == b.count && a.digest == b.digest) continue;
    const auto kind = a.count == b.count ? CodeDifferenceKind::kJumps : CodeDifferenceKind::kRuns;
    found.push_back({OrderOf(place), {kind, key.last_instruction, a.count, b.count}});
  }
  extra.Sum();
}

void CompareInstructions(const std::map<uint64_t, Place2>& instructions, const ExtraRuns& extra,
                         std::vector<Ordered>& found) {
  for (const auto& [address, place] : instructions) {
    const auto& [a, b] = place;
    // That it ran more often is said of its block.
    if (a.digest == b.digest || extra.At(address) != 0) continue;
    const auto kind = a.count != b.count   ? CodeDifferenceKind::kAccesses
                      : a.pages != b.pages ? CodeDifferenceKind::kPages
                                           : CodeDifferenceKind::kLines;
    found.push_back({OrderOf(place), {kind, address, a.count, b.count}});
  }
}

std::vector<CodeDifference> CompareCode(const Json& first, const Json& second) {
  std::vector<Ordered> found;
  ExtraRuns extra;
  CompareBlocks(ReadBlocks(first, second), extra, found);
  CompareInstructions(ReadInstructions(first, second), extra, found);
  const auto rank = [](const Ordered& one) {
    return std::pair(one.difference.kind == CodeDifferenceKind::kRuns, one.order);
  };
  std::stable_sort(found.begin(), found.end(),
                   [&](const Ordered& a, const Ordered& b) { return rank(a) < rank(b); });
  std::vector<CodeDifference> code;
  code.reserve(found.size());
  for (const Ordered& one : found) code.push_back(one.difference);
  return code;
}

std::vector<CallDifference> CompareCalls(const Json& first, const Json& second) {
  std::map<std::string, std::pair<uint64_t, uint64_t>> counts;
  for (const Json& call : first.at("system_calls")) {
    counts[call.at("name")].first = call.at("calls");
  }
  for (const Json& call : second.at("system_calls")) {
    counts[call.at("name")].second = call.at("calls");
  }
  std::vector<CallDifference> differences;
  for (const auto& [name, count] : counts) {
    if (count.first != count.second) differences.push_back({name, count.first, count.second});
  }
  return differences;
}

}  // namespace

std::string_view CodeDifferenceName(CodeDifferenceKind kind) {
  constexpr std::string_view kNames[] = {"jumps", "pages", "lines", "accesses", "runs"};
  return kNames[static_cast<size_t>(kind)];
}

TraceComparison CompareTraces(const Json& first, const Json& second) {
  TraceComparison comparison;
  const Json& threads_a = first.at("threads");
  const Json& threads_b = second.at("threads");
  for (size_t i = 0; i < kAddressStreamCount; ++i) {
    const std::string name(AddressStreamName(static_cast<AddressStream>(i)));
    bool& differs = comparison.differs[i];
    differs = threads_a.size() != threads_b.size();
    for (size_t t = 0; !differs && t < threads_a.size(); ++t) {
      differs = threads_a.at(t).at("thread") != threads_b.at(t).at("thread") ||
                threads_a.at(t).at(name) != threads_b.at(t).at(name);
    }
  }
  comparison.calls = CompareCalls(first, second);
  if (!comparison.same()) comparison.code = CompareCode(first, second);
  return comparison;
}

}  // namespace coracle::characterize
