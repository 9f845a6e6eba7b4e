// What a page swap costs (a page sealed and dropped, another opened and placed, the touch), by the
// way in which faults are served and pages are moved. Rounds are interleaved; each way's best round
// is printed, broken down into crypto, mapping (system calls) and the rest: how the fault gets to
// whoever serves it and back, and the books.
#include <fmt/format.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "swap_paths.h"

namespace coracle::bench {
namespace {

struct Arguments {
  uint64_t pages = 320;  // few, so that a round falls between what else runs
  uint64_t limit_pages = 96;
  int rounds = 150;
  bool is_busy = false;
  bool is_random = false;
  bool json = false;
};

struct Cost {
  double swap_us = 1e9;
  double crypto_us = 0;
  double mapping_us = 0;
};

struct Way {
  std::string name;
  std::unique_ptr<SwapPath> path;
  std::vector<uint64_t> order;  ///< of its pages
  std::vector<double> rounds_us;
  Cost best;
};

double TicksPerMicrosecond() {
  const auto now_ns = [] {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
  };
  const double begin_ns = now_ns();
  const uint64_t begin = __builtin_ia32_rdtsc();
  while (now_ns() - begin_ns < 5e7) {
  }
  return static_cast<double>(__builtin_ia32_rdtsc() - begin) / (now_ns() - begin_ns) * 1e3;
}

/// Touches every page once; each holds the number of times that it was touched.
void TouchAll(SwapPath& path, const std::vector<uint64_t>& order, uint64_t before) {
  for (const uint64_t index : order) {
    auto* word = reinterpret_cast<volatile uint64_t*>(path.page(index));
    if (*word != before) {
      fmt::print(stderr, "page {} holds {}, not {}\n", index, *word, before);
      std::abort();
    }
    *word = before + 1;
  }
}

void Run(Way& way, uint64_t before, double ticks_per_us) {
  way.path->Begin();
  way.path->TakeTicks();
  const uint64_t begin = __builtin_ia32_rdtsc();
  TouchAll(*way.path, way.order, before);
  const uint64_t ticks = __builtin_ia32_rdtsc() - begin;
  const SwapTicks parts = way.path->TakeTicks();
  way.path->End();
  const double per = 1 / (ticks_per_us * static_cast<double>(way.order.size()));
  const Cost cost{static_cast<double>(ticks) * per, static_cast<double>(parts.crypto) * per,
                  static_cast<double>(parts.mapping) * per};
  if (before == 0) return;  // first touches
  way.rounds_us.push_back(cost.swap_us);
  if (cost.swap_us < way.best.swap_us) way.best = cost;
}

std::vector<uint64_t> MakeOrder(uint64_t pages, bool is_random) {
  std::vector<uint64_t> order(pages);
  std::iota(order.begin(), order.end(), uint64_t{0});
  // The same in all rounds: each touch misses, as under any cyclic order beyond the limit.
  std::mt19937_64 random(1);
  if (is_random) std::shuffle(order.begin(), order.end(), random);
  return order;
}

std::vector<Way> MakeWays(const Arguments& arguments) {
  uint64_t pages = arguments.pages;
  uint64_t limit = arguments.limit_pages;
  std::vector<Way> ways;
  const auto add = [&](const char* name, std::unique_ptr<SwapPath> path) {
    if (path == nullptr) {
      fmt::print(stderr, "{}: refused by this kernel\n", name);
      return;
    }
    ways.push_back({name, std::move(path), MakeOrder(pages, arguments.is_random), {}, {}});
  };
  // On a machine that others use, a wake-up may take milliseconds: fewer of them.
  pages = 128;
  limit = 64;
  add("userfaultfd, thread, other core", MakeThreadPath(1, pages, limit));
  add("userfaultfd, thread, same core", MakeThreadPath(0, pages, limit));
  pages = arguments.pages;
  limit = arguments.limit_pages;
  add("mprotect, SIGSEGV", MakeSignalPath(Moves::kProtect, 1, pages, limit));
  add("mprotect, SIGSEGV, batch 16", MakeSignalPath(Moves::kProtect, 16, pages, limit));
  add("SIGBUS, copy", MakeSignalPath(Moves::kCopy, 1, pages, limit));
  add("SIGBUS, copy, batch 16", MakeSignalPath(Moves::kCopy, 16, pages, limit));
  add("SIGBUS, move", MakeSignalPath(Moves::kMove, 1, pages, limit));
  add("SIGBUS, move, batch 16", MakeSignalPath(Moves::kMove, 16, pages, limit));
  add("epcrun's pager, copy", MakePagerPath(Moves::kCopy, pages, limit));
  add("epcrun's pager, move", MakePagerPath(Moves::kMove, pages, limit));
  return ways;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Print(const Arguments& arguments, const std::vector<Way>& ways) {
  nlohmann::json all = nlohmann::json::array();
  if (!arguments.json) {
    fmt::print("{:<34}{:>9}{:>9}{:>9}{:>9}{:>9}   us a swap, best of {} rounds, {}{}\n", "", "swap",
               "median", "crypto", "mapping", "fault", arguments.rounds,
               arguments.is_random ? "random order" : "in order",
               arguments.is_busy ? ", a busy thread on the other core" : "");
  }
  for (const Way& way : ways) {
    const double median_us = Median(way.rounds_us);
    const double fault_us = way.best.swap_us - way.best.crypto_us - way.best.mapping_us;
    if (arguments.json) {
      all.push_back({{"way", way.name},
                     {"swap_us", way.best.swap_us},
                     {"swap_us_median", median_us},
                     {"crypto_us", way.best.crypto_us},
                     {"mapping_us", way.best.mapping_us},
                     {"fault_us", fault_us}});
    } else {
      fmt::print("{:<34}{:>9.2f}{:>9.2f}{:>9.2f}{:>9.2f}{:>9.2f}\n", way.name, way.best.swap_us,
                 median_us, way.best.crypto_us, way.best.mapping_us, fault_us);
    }
  }
  if (!arguments.json) return;
  const nlohmann::json whole = {
      {"pages", arguments.pages},         {"limit_pages", arguments.limit_pages},
      {"rounds", arguments.rounds},       {"order", arguments.is_random ? "random" : "sequential"},
      {"busy_thread", arguments.is_busy}, {"ways", all}};
  fmt::print("{}\n", whole.dump(1));
}

int Main(const Arguments& arguments) {
  BindToCore(0);
  const double ticks_per_us = TicksPerMicrosecond();
  std::vector<Way> ways = MakeWays(arguments);
  std::atomic<bool> stop{false};
  std::thread busy;
  if (arguments.is_busy) {
    busy = std::thread([&stop] {
      BindToCore(1);
      while (!stop.load(std::memory_order_relaxed)) __builtin_ia32_pause();
    });
  }
  for (int round = 0; round <= arguments.rounds; ++round) {
    for (Way& way : ways) Run(way, static_cast<uint64_t>(round), ticks_per_us);
  }
  stop = true;
  if (busy.joinable()) busy.join();
  Print(arguments, ways);
  return 0;
}

}  // namespace
}  // namespace coracle::bench

int main(int argc, char** argv) {
  coracle::bench::Arguments arguments;
  CLI::App app("Page swaps from user space, by way of serving them.");
  app.add_option("--pages", arguments.pages)->check(CLI::Range(256, 1 << 20));
  app.add_option("--limit-pages", arguments.limit_pages)->check(CLI::Range(64, 1 << 20));
  app.add_option("--rounds", arguments.rounds)->check(CLI::Range(1, 1000));
  app.add_flag("--random", arguments.is_random, "Touch pages in a random order");
  app.add_flag("--busy", arguments.is_busy, "Keep the other core in this process's memory");
  app.add_flag("--json", arguments.json);
  CLI11_PARSE(app, argc, argv);
  if (arguments.limit_pages + 64 > arguments.pages) {
    fmt::print(stderr, "--limit-pages must be less than --pages by 64\n");
    return 2;
  }
  return coracle::bench::Main(arguments);
}
