#include "emulator/epcrun/calibrate.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/units.h"
#include "emulator/epcrun/descriptor.h"
#include "emulator/epcrun/exit_codes.h"
#include "emulator/epcrun/machine.h"
#include "emulator/epcrun/report.h"
#include "emulator/epcrun/run.h"

namespace coracle::epc {
namespace {

constexpr uint64_t kDefaultLimitBytes = uint64_t{8} << 20;
// What a swap costs in SGX hardware with its driver, as published: docs/epcrun.md has the sources.
constexpr double kPublishedCyclesMin = 12'000;
constexpr double kPublishedCyclesMax = 40'000;

constexpr std::array<const char*, kTouchesCount> kNames = {"read in order", "write in order",
                                                           "read at random", "write at random"};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// The median pass of one kind, each part by itself.
PassCost MedianPass(const CalibrationFigures& figures, uint32_t kind) {
  const auto median_of = [&](double PassCost::*part) {
    std::vector<double> values;
    for (const auto& round : figures.swaps) values.push_back(round[kind].*part);
    return Median(std::move(values));
  };
  PassCost cost;
  cost.ticks = median_of(&PassCost::ticks);
  cost.crypto_ticks = median_of(&PassCost::crypto_ticks);
  cost.mapping_ticks = median_of(&PassCost::mapping_ticks);
  return cost;
}

double LeastTicks(const CalibrationFigures& figures, uint32_t kind) {
  double least = figures.swaps[0][kind].ticks;
  for (const auto& round : figures.swaps) least = std::min(least, round[kind].ticks);
  return least;
}

/// Turns ticks into microseconds and describes passes.
class Scale {
 public:
  explicit Scale(uint64_t ticks_per_second)
      : us_per_tick_(1e6 / static_cast<double>(ticks_per_second)) {}

  Json AsJson(const PassCost& cost) const {
    return {{"us", Us(cost.ticks)},
            {"cycles", cost.ticks},
            {"fault_us", Us(cost.ticks - cost.crypto_ticks - cost.mapping_ticks)},
            {"crypto_us", Us(cost.crypto_ticks)},
            {"mapping_us", Us(cost.mapping_ticks)}};
  }
  std::string AsText(const char* name, const PassCost& cost) const {
    return fmt::format(
        "  {:<26} {:>8.2f} us {:>9.0f} cycles   fault {:.2f}, crypto {:.2f}, mapping {:.2f}\n",
        name, Us(cost.ticks), cost.ticks, Us(cost.ticks - cost.crypto_ticks - cost.mapping_ticks),
        Us(cost.crypto_ticks), Us(cost.mapping_ticks));
  }
  double Us(double ticks) const { return ticks * us_per_tick_; }

 private:
  double us_per_tick_;
};

std::string Advice(double cycles) {
  const std::string published =
      fmt::format("Published for SGX hardware: {:.0f} to {:.0f} cycles a swap. ",
                  kPublishedCyclesMin, kPublishedCyclesMax);
  if (cycles > kPublishedCyclesMax) {
    return published +
           "This machine is slower than that: slowdowns that you see here are above a "
           "hardware's.\n";
  }
  const std::string upper = fmt::format("--charge-cycles {:.0f}", kPublishedCyclesMax);
  if (cycles >= kPublishedCyclesMin) {
    return published + "This machine is within that without any charge; " + upper +
           " gives the upper end.\n";
  }
  return published + fmt::format(
                         "This machine is faster than that: --charge-cycles {:.0f} gives "
                         "the lower end, {} the upper one.\n",
                         kPublishedCyclesMin, upper);
}

/// The middle of the four kinds.
PassCost Overall(const std::array<PassCost, kTouchesCount>& kinds) {
  const auto mean_of = [&](double PassCost::*part) {
    std::array<double, kTouchesCount> values = {};
    for (uint32_t i = 0; i < kTouchesCount; ++i) values[i] = kinds[i].*part;
    std::sort(values.begin(), values.end());
    return (values[1] + values[2]) / 2;
  };
  PassCost cost;
  cost.ticks = mean_of(&PassCost::ticks);
  cost.crypto_ticks = mean_of(&PassCost::crypto_ticks);
  cost.mapping_ticks = mean_of(&PassCost::mapping_ticks);
  return cost;
}

Status Print(const Options& options, const CalibrationFigures& figures, uint64_t limit_bytes) {
  const uint64_t rate = MeasureTicksPerSecond();
  const Scale scale(rate);
  std::array<PassCost, kTouchesCount> kinds;
  std::string text = fmt::format(
      "A page swap (evict one, load another) on this machine; limit {}, medians of {} rounds:\n",
      FormatBytes(limit_bytes), kRounds);
  Json swaps = Json::object();
  for (uint32_t i = 0; i < kTouchesCount; ++i) {
    kinds[i] = MedianPass(figures, i);
    text += scale.AsText(kNames[i], kinds[i]);
    swaps[kNames[i]] = scale.AsJson(kinds[i]);
    swaps[kNames[i]]["least_us"] = scale.Us(LeastTicks(figures, i));
  }
  const PassCost all = Overall(kinds);
  text += scale.AsText("a swap", all);
  text += scale.AsText("a first touch, with room", figures.first_touch);
  text += scale.AsText("a first touch that evicts", figures.first_touch_evicting);
  text += fmt::format("  (fault: delivery by the kernel, return, tables; {:.3f} GHz)\n",
                      static_cast<double>(rate) / 1e9);
  text += Advice(all.ticks);
  if (options.json != "-") std::fputs(text.c_str(), stdout);
  if (options.json.empty()) return {};
  const Json json = {{"limit_bytes", limit_bytes},
                     {"rounds", kRounds},
                     {"ticks_per_second", rate},
                     {"charge_cycles", options.charge_cycles},
                     {"swap", scale.AsJson(all)},
                     {"swaps", swaps},
                     {"first_touch", scale.AsJson(figures.first_touch)},
                     {"first_touch_evicting", scale.AsJson(figures.first_touch_evicting)},
                     {"published_cycles", {kPublishedCyclesMin, kPublishedCyclesMax}}};
  return WriteJson(options.json, json);
}

}  // namespace

Result<int> Calibrate(const Options& options) {
  const Descriptor results(memfd_create("epcrun-figures", 0));
  if (!results.valid()) return Error{Code::kUnavailable, std::strerror(errno)};
  Options inside = options;
  if (inside.limit_bytes == kUnlimited) inside.limit_bytes = kDefaultLimitBytes;
  inside.json.clear();
  inside.summary = Summary::kNone;
  std::error_code failed;
  const std::string self = std::filesystem::read_symlink("/proc/self/exe", failed).string();
  inside.program = {self, "--calibrate-inside", fmt::format("{}", results.get())};
  TRY_ASSIGN(const int code, RunInside(inside));
  if (code != kExitDone) return code;
  CalibrationFigures figures;
  if (pread(results.get(), &figures, sizeof figures, 0) != sizeof figures) {
    return Error{Code::kUnavailable, "the calibration left no figures"};
  }
  TRY(Print(options, figures, inside.limit_bytes));
  return kExitDone;
}

}  // namespace coracle::epc
