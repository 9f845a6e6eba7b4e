#include "plan/pack_greedy.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/check.h"

namespace coracle::plan {
namespace {

constexpr uint32_t kNone = UINT32_MAX;
/// Past this only few orders are tried.
constexpr size_t kManyBuffers = 6000;
/// The local search places about this many buffers, within these rounds.
constexpr size_t kRefinedPlacements = 30'000;
constexpr size_t kRoundsMin = 8;
constexpr size_t kRoundsMax = 200;

enum class Fit : uint8_t {
  kFirst,  ///< the lowest gap
  kBest,   ///< the tightest gap
};

/// Offsets strictly between the two are taken.
struct Forbidden {
  int64_t below = 0;
  int64_t above = 0;
};

class Packer {
 public:
  Packer(std::span<const Buffer> buffers, std::span<const Overlay> overlays,
         const Sections& sections)
      : buffers_(buffers),
        overlays_(overlays),
        ranges_(sections.ranges),
        live_(sections.loads.size()),
        starting_(sections.loads.size()),
        as_predecessor_(buffers.size(), kNone),
        as_successor_(buffers.size(), kNone) {
    for (uint32_t i = 0; i < overlays.size(); ++i) {
      CORACLE_CHECK(as_predecessor_[overlays[i].predecessor] == kNone);
      CORACLE_CHECK(as_successor_[overlays[i].successor] == kNone);
      as_predecessor_[overlays[i].predecessor] = i;
      as_successor_[overlays[i].successor] = i;
    }
    // A buffer's rank among loads: the highest load of any section that it lives through.
    load_rank_.reserve(buffers.size());
    for (const SectionRange& range : ranges_) {
      load_rank_.push_back(*std::max_element(sections.loads.begin() + range.begin,
                                             sections.loads.begin() + range.end));
    }
    best_.bound_bytes = sections.HighestLoad();
  }

  Packing Run(uint64_t enough_bytes) {
    best_.pool_bytes = std::numeric_limits<uint64_t>::max();
    const bool many = buffers_.size() > kManyBuffers;
    const auto size = [this](uint32_t i) { return buffers_[i].bytes; };
    const auto span = [this](uint32_t i) {
      return uint64_t{buffers_[i].last} - buffers_[i].first + 1;
    };
    const auto load = [this](uint32_t i) { return load_rank_[i]; };
    Try(OrderBy(load, size), Fit::kFirst);
    if (best_.pool_bytes > enough_bytes) Try(OrderBy(size, span), Fit::kFirst);
    if (best_.pool_bytes > enough_bytes && !many) {
      Try(OrderBy([&](uint32_t i) { return size(i) * span(i); }, size), Fit::kFirst);
      Try(OrderBy(span, size), Fit::kFirst);
      Try(OrderBy([&](uint32_t i) { return UINT32_MAX - buffers_[i].first; }, size), Fit::kFirst);
      Try(OrderBy(load, size), Fit::kBest);
      Try(OrderBy(size, span), Fit::kBest);
      Refine(enough_bytes);
    }
    return std::move(best_);
  }

 private:
  template <typename Key, typename Second>
  std::vector<uint32_t> OrderBy(Key key, Second second) const {
    std::vector<uint32_t> order(buffers_.size());
    std::iota(order.begin(), order.end(), 0U);
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      if (key(a) != key(b)) return key(a) > key(b);
      if (second(a) != second(b)) return second(a) > second(b);
      return a < b;
    });
    return order;
  }

  /// Local search from the best order: a buffer that ends at the peak, or any other, is placed
  /// earlier; what is no worse is kept.
  void Refine(uint64_t enough_bytes) {
    std::vector<uint32_t> order = best_order_;
    std::vector<uint64_t> offsets = best_.offsets;
    uint64_t peak = best_.pool_bytes;
    const size_t rounds = std::clamp(kRefinedPlacements / order.size(), kRoundsMin, kRoundsMax);
    for (size_t round = 0; round < rounds && best_.pool_bytes > enough_bytes; ++round) {
      std::vector<uint32_t> next = order;
      size_t from = Random() % next.size();
      while (round % 2 == 0 && offsets[next[from]] + buffers_[next[from]].bytes != peak) {
        from = (from + 1) % next.size();
      }
      const size_t to = round % 4 == 0 ? 0 : Random() % (from + 1);
      std::rotate(next.begin() + static_cast<ptrdiff_t>(to),
                  next.begin() + static_cast<ptrdiff_t>(from),
                  next.begin() + static_cast<ptrdiff_t>(from) + 1);
      Try(next, Fit::kFirst);
      if (peak_ > peak) continue;
      order = std::move(next);
      offsets = offsets_;
      peak = peak_;
    }
  }

  /// xorshift64: the same numbers in every run.
  uint64_t Random() {
    random_ ^= random_ << 13U;
    random_ ^= random_ >> 7U;
    random_ ^= random_ << 17U;
    return random_;
  }

  void Try(std::vector<uint32_t> order, Fit fit) {
    for (auto& list : live_) list.clear();
    for (auto& list : starting_) list.clear();
    offsets_.assign(buffers_.size(), 0);
    peak_ = 0;
    for (uint32_t i : order) {
      offsets_[i] = Place(i, fit);
      peak_ = std::max(peak_, offsets_[i] + buffers_[i].bytes);
      for (uint32_t s = ranges_[i].begin; s < ranges_[i].end; ++s) live_[s].push_back(i);
      starting_[ranges_[i].begin].push_back(i);
    }
    if (peak_ < best_.pool_bytes) {
      best_.offsets = offsets_;
      best_.pool_bytes = peak_;
      best_order_ = std::move(order);
    }
  }

  Forbidden ForbiddenBy(uint32_t placed, uint32_t buffer) const {
    const auto at = static_cast<int64_t>(offsets_[placed]);
    const auto placed_bytes = static_cast<int64_t>(buffers_[placed].bytes);
    const auto bytes = static_cast<int64_t>(buffers_[buffer].bytes);
    Forbidden range{at - bytes, at + placed_bytes};
    const uint32_t as_successor = as_successor_[buffer];
    if (as_successor != kNone && overlays_[as_successor].predecessor == placed) {
      const Overlay& overlay = overlays_[as_successor];
      range.below = std::max(range.below, at - overlay.below);
      range.above = std::min(range.above, at + overlay.above);
    }
    const uint32_t as_predecessor = as_predecessor_[buffer];
    if (as_predecessor != kNone && overlays_[as_predecessor].successor == placed) {
      const Overlay& overlay = overlays_[as_predecessor];
      range.below = std::max(range.below, at - overlay.above);
      range.above = std::min(range.above, at + overlay.below);
    }
    return range;
  }

  uint64_t Place(uint32_t i, Fit fit) {
    const SectionRange range = ranges_[i];
    forbidden_.clear();
    for (uint32_t placed : live_[range.begin]) forbidden_.push_back(ForbiddenBy(placed, i));
    for (uint32_t s = range.begin + 1; s < range.end; ++s) {
      for (uint32_t placed : starting_[s]) forbidden_.push_back(ForbiddenBy(placed, i));
    }
    std::sort(forbidden_.begin(), forbidden_.end(),
              [](const Forbidden& a, const Forbidden& b) { return a.below < b.below; });
    int64_t offset = 0;
    int64_t tightest = -1;
    int64_t slack = std::numeric_limits<int64_t>::max();
    for (const Forbidden& taken : forbidden_) {
      if (taken.above <= taken.below) continue;
      if (offset <= taken.below && taken.below - offset < slack) {
        if (fit == Fit::kFirst) return static_cast<uint64_t>(offset);
        tightest = offset;
        slack = taken.below - offset;
      }
      offset = std::max(offset, taken.above);
    }
    return static_cast<uint64_t>(tightest >= 0 ? tightest : offset);
  }

  const std::span<const Buffer> buffers_;
  const std::span<const Overlay> overlays_;
  const std::span<const SectionRange> ranges_;
  std::vector<std::vector<uint32_t>> live_;      // by section: placed buffers
  std::vector<std::vector<uint32_t>> starting_;  // by section: placed buffers that begin there
  std::vector<uint32_t> as_predecessor_;         // by buffer: its overlay, or kNone
  std::vector<uint32_t> as_successor_;
  std::vector<uint64_t> load_rank_;
  std::vector<Forbidden> forbidden_;
  std::vector<uint64_t> offsets_;
  uint64_t peak_ = 0;
  uint64_t random_ = 0x9E3779B97F4A7C15;
  std::vector<uint32_t> best_order_;
  Packing best_;
};

}  // namespace

Packing PackGreedily(std::span<const Buffer> buffers, std::span<const Overlay> overlays,
                     const Sections& sections, uint64_t enough_bytes) {
  return Packer(buffers, overlays, sections).Run(enough_bytes);
}

}  // namespace coracle::plan
