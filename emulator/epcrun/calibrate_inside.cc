// The measured program. It sees what any program would: memory that takes long to touch.
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string_view>
#include <vector>

#include "emulator/epcrun/calibrate.h"
#include "emulator/epcrun/exit_codes.h"
#include "emulator/epcrun/machine.h"

namespace coracle::epc {
namespace {

/// Pages are touched in groups, much shorter than a time slice: the median group tells what a touch
/// costs even where other programs want the processor too. Evictions come in batches of up to 16,
/// of which a group holds several.
constexpr size_t kGroupPages = 64;
/// At random, some touches meet a page that is present: fewer loads than this tell little.
constexpr uint64_t kGroupLoadsMin = 16;

Error Unavailable(const char* what) {
  return Error{Code::kUnavailable, fmt::format("calibration: {}", what)};
}

/// This run's own record, from the variable that the library got it by.
Result<const RunRecord*> OwnRecord() {
  const char* const handover = std::getenv(kHandoverVariable);
  if (handover == nullptr) return Unavailable("runs under epcrun --calibrate only");
  const std::string_view text = handover;
  int fd = -1;
  std::from_chars(text.data() + text.find(':') + 1, text.data() + text.size(), fd);
  void* const memory = mmap(nullptr, sizeof(RunRecord), PROT_READ, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return Unavailable(std::strerror(errno));
  return static_cast<const RunRecord*>(memory);
}

/// The record's counters at one moment.
struct Counters {
  explicit Counters(const RunRecord& record)
      : ticks(Ticks()),
        loads(record.loads),
        evictions(record.evictions),
        zero_fills(record.zero_fills),
        crypto_ticks(record.crypto_ticks),
        mapping_ticks(record.mapping_ticks) {}

  uint64_t ticks;
  uint64_t loads;
  uint64_t evictions;
  uint64_t zero_fills;
  uint64_t crypto_ticks;
  uint64_t mapping_ticks;
};

PassCost CostBetween(const Counters& before, const Counters& after, uint64_t pages) {
  const double each = 1.0 / static_cast<double>(pages);
  PassCost cost;
  cost.ticks = static_cast<double>(after.ticks - before.ticks) * each;
  cost.crypto_ticks = static_cast<double>(after.crypto_ticks - before.crypto_ticks) * each;
  cost.mapping_ticks = static_cast<double>(after.mapping_ticks - before.mapping_ticks) * each;
  return cost;
}

/// Of groups, by the whole; all zero if there are none.
PassCost MedianOf(std::vector<PassCost>& groups) {
  if (groups.empty()) return {};
  const auto middle = groups.begin() + static_cast<ptrdiff_t>(groups.size() / 2);
  std::nth_element(groups.begin(), middle, groups.end(),
                   [](const PassCost& a, const PassCost& b) { return a.ticks < b.ticks; });
  return *middle;
}

class Touching {
 public:
  Touching(const RunRecord& record, volatile std::byte* memory, uint64_t pages)
      : record_(record), memory_(memory), order_(pages), shuffled_(pages) {
    std::iota(order_.begin(), order_.end(), 0u);
    shuffled_ = order_;
  }

  void FirstTouches(CalibrationFigures& figures) {
    std::vector<PassCost> with_room;
    std::vector<PassCost> evicting;
    ForEachGroup(order_, /*write=*/true, [&](const Counters& before, const Counters& after) {
      const uint64_t evictions = after.evictions - before.evictions;
      const PassCost cost = CostBetween(before, after, kGroupPages);
      if (evictions == 0) with_room.push_back(cost);
      if (evictions >= kGroupPages) evicting.push_back(cost);
    });
    figures.first_touch = MedianOf(with_room);
    figures.first_touch_evicting = MedianOf(evicting);
  }

  PassCost Pass(Touches touches) {
    const bool at_random = touches == Touches::kReadAtRandom || touches == Touches::kWriteAtRandom;
    const bool write = touches == Touches::kWriteInOrder || touches == Touches::kWriteAtRandom;
    if (at_random) Shuffle();
    std::vector<PassCost> groups;
    ForEachGroup(at_random ? shuffled_ : order_, write,
                 [&](const Counters& before, const Counters& after) {
                   const uint64_t loads = after.loads - before.loads;
                   if (loads >= kGroupLoadsMin) groups.push_back(CostBetween(before, after, loads));
                 });
    return MedianOf(groups);
  }

 private:
  template <typename Then>
  void ForEachGroup(const std::vector<uint32_t>& order, bool write, const Then& then) {
    for (size_t i = 0; i + kGroupPages <= order.size(); i += kGroupPages) {
      const Counters before(record_);
      for (size_t j = i; j < i + kGroupPages; ++j) {
        volatile std::byte* const byte = memory_ + order[j] * kPageBytes;
        if (write) {
          *byte = static_cast<std::byte>(j | 1);
        } else {
          static_cast<void>(*byte);
        }
      }
      then(before, Counters(record_));
    }
  }

  void Shuffle() {
    for (size_t i = shuffled_.size(); i > 1; --i) {
      random_ ^= random_ << 13;  // xorshift64, Marsaglia 2003
      random_ ^= random_ >> 7;
      random_ ^= random_ << 17;
      std::swap(shuffled_[i - 1], shuffled_[random_ % i]);
    }
  }

  const RunRecord& record_;
  volatile std::byte* memory_;
  std::vector<uint32_t> order_;
  std::vector<uint32_t> shuffled_;
  uint64_t random_ = 0x9e3779b97f4a7c15;
};

}  // namespace

Result<int> CalibrateInside(int results_fd) {
  TRY_ASSIGN(const RunRecord* const record, OwnRecord());
  if (record->limit_bytes == kUnlimited) return Unavailable("needs a limit");
  const uint64_t bytes = 2 * record->limit_bytes;
  void* const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return Unavailable(std::strerror(errno));
  Touching touching(*record, static_cast<volatile std::byte*>(memory), bytes / kPageBytes);
  CalibrationFigures figures;
  touching.FirstTouches(figures);
  for (auto& round : figures.swaps) {
    for (uint32_t i = 0; i < kTouchesCount; ++i) round[i] = touching.Pass(static_cast<Touches>(i));
  }
  if (write(results_fd, &figures, sizeof figures) != sizeof figures) {
    return Unavailable("cannot hand over the figures");
  }
  return kExitDone;
}

}  // namespace coracle::epc
