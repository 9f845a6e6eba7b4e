#include "contest.h"

#include <time.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <thread>
#include <vector>

#include "fma_peak.h"

namespace coracle::bench {
namespace {

/// Rounds between whose peaks there is more than this are left out where others remain.
constexpr double kAgreement = 0.04;
constexpr double kTurnSecondsMin = 300e-6;

double Now(uint32_t threads) {
  timespec time{};
  clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Multiply-adds a second that the crew's threads reach together.
double Peak(Crew& crew) {
  std::array<double, 2> rates{};
  crew.Run([&](uint32_t thread) {
    const double begin = Now(crew.threads());
    const double done = RunFmaChains();
    rates[thread] = done / (Now(crew.threads()) - begin);
  });
  return rates[0] + rates[1];
}

struct Turn {
  double seconds = 0;  // of one pass
  double share = 0;
  bool steady = false;  // the peaks around it agree
};

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

class Rounds {
 public:
  Rounds(const Contest& contest, Crew& crew) : contest_(contest), crew_(crew) {}

  Turn Ours() { return Take(contest_.ours); }
  Turn Theirs() { return Take(contest_.theirs); }

 private:
  double PeakNow() {
    crew_.BeginTurn();
    const double peak = Peak(crew_);
    crew_.EndTurn();
    return peak;
  }

  Turn Take(const std::function<void()>& run) {
    const bool ours = &run == &contest_.ours;
    const double before = PeakNow();
    if (ours) crew_.BeginTurn();
    run();
    const double took = crew_.threads() == 1 ? MeanPass(run) : MedianPass(run);
    if (ours) crew_.EndTurn();
    // Their threads are given time to fall asleep before ours run again.
    if (!ours && crew_.threads() > 1) std::this_thread::sleep_for(std::chrono::milliseconds(3));
    const double after = PeakNow();
    const double peak = (before + after) / 2;
    return {.seconds = took,
            .share = static_cast<double>(contest_.multiply_adds) / took / peak,
            .steady = std::abs(before - after) <= kAgreement * peak};
  }

  /// One thread's: by its CPU time, which is dear to ask for.
  static double MeanPass(const std::function<void()>& run) {
    double begin = Now(1);
    run();
    double took = Now(1) - begin;
    if (const double repeats = std::floor(kTurnSecondsMin / took); repeats >= 1) {
      begin = Now(1);
      for (double i = 0; i < repeats; ++i) run();
      took = (Now(1) - begin) / repeats;
    }
    return took;
  }

  /// Two threads': a pass during which the machine takes one of them away lasts milliseconds more.
  static double MedianPass(const std::function<void()>& run) {
    constexpr size_t kPassesMin = 3;
    std::vector<double> passes;
    for (double spent = 0; passes.size() < kPassesMin || spent < kTurnSecondsMin;) {
      const double begin = Now(2);
      run();
      passes.push_back(Now(2) - begin);
      spent += passes.back();
    }
    return Median(passes);
  }

  const Contest& contest_;
  Crew& crew_;
};

/// The median of `value` over the steady ones, or over all if few are steady.
template <class Value>
double MedianOf(const std::vector<std::array<Turn, 2>>& rounds, const Value& value) {
  std::vector<double> steady;
  std::vector<double> all;
  for (const auto& round : rounds) {
    all.push_back(value(round));
    if (round[0].steady && round[1].steady) steady.push_back(all.back());
  }
  return Median(steady.size() >= 3 ? steady : all);
}

}  // namespace

ContestResult Hold(const Contest& contest, Crew& crew) {
  constexpr size_t kRoundsMin = 3;
  Rounds rounds(contest, crew);
  std::vector<std::array<Turn, 2>> held;
  const auto begin = std::chrono::steady_clock::now();
  const auto spent = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  while (held.size() < kRoundsMin || spent() < contest.seconds) {
    std::array<Turn, 2> round{Turn{.steady = true}, Turn{.steady = true}};
    const bool we_begin = held.size() % 2 == 0;
    if (we_begin) round[0] = rounds.Ours();
    if (contest.theirs) round[1] = rounds.Theirs();
    if (!we_begin) round[0] = rounds.Ours();
    held.push_back(round);
  }
  ContestResult result;
  result.seconds = MedianOf(held, [](const auto& round) { return round[0].seconds; });
  result.share = MedianOf(held, [](const auto& round) { return round[0].share; });
  if (!contest.theirs) return result;
  result.their_share = MedianOf(held, [](const auto& round) { return round[1].share; });
  result.ratio = MedianOf(held, [](const auto& round) { return round[1].share / round[0].share; });
  return result;
}

}  // namespace coracle::bench
