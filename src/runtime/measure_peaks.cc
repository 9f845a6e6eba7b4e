// MeasurePeaks.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "runtime/measure_rates.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace coracle::runtime {
namespace {

constexpr int kTries = 5;

double SecondsOf(host::Clock& clock, const auto& work) {
  double best = 1e9;
  for (int i = 0; i < kTries; ++i) {
    const uint64_t start = clock.NowNanoseconds();
    work();
    best = std::min(best, static_cast<double>(clock.NowNanoseconds() - start) * 1e-9);
  }
  return std::max(best, 1e-9);
}

#if defined(__x86_64__)
constexpr int kChains = 12;
constexpr int kRounds = 8000;

__attribute__((target("avx512f"))) void FmaChains512(float* sink) {
  __m512 sums[kChains];
  for (auto& sum : sums) sum = _mm512_set1_ps(1.0F);
  const __m512 factor = _mm512_set1_ps(0.999F);
  for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sums[i] = _mm512_fmadd_ps(sums[i], factor, factor);
  }
  __m512 total = sums[0];
  for (int i = 1; i < kChains; ++i) total = _mm512_add_ps(total, sums[i]);
  _mm512_storeu_ps(sink, total);
}

__attribute__((target("avx2,fma"))) void FmaChains256(float* sink) {
  __m256 sums[kChains];
  for (auto& sum : sums) sum = _mm256_set1_ps(1.0F);
  const __m256 factor = _mm256_set1_ps(0.999F);
  for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sums[i] = _mm256_fmadd_ps(sums[i], factor, factor);
  }
  __m256 total = sums[0];
  for (int i = 1; i < kChains; ++i) total = _mm256_add_ps(total, sums[i]);
  _mm256_storeu_ps(sink, total);
}
#endif

double FmaGflops(host::Clock& clock) {
#if defined(__x86_64__)
  volatile float sink = 0;
  float values[16] = {};
  const bool wide = __builtin_cpu_supports("avx512f") != 0;
  if (wide || __builtin_cpu_supports("fma") != 0) {
    const double seconds =
        SecondsOf(clock, [&] { wide ? FmaChains512(values) : FmaChains256(values); });
    sink = values[0];
    (void)sink;
    return 2.0 * kChains * kRounds * (wide ? 16 : 8) / seconds / 1e9;
  }
#else
  (void)clock;
#endif
  return 4;  // a machine without FMA: a floor
}

double ReadGbps(host::Clock& clock) {
  constexpr size_t kWords = size_t{16} << 20 >> 3;
  const std::vector<uint64_t> memory(kWords, 1);
  volatile uint64_t sink = 0;
  const double seconds = SecondsOf(clock, [&] {
    uint64_t sums[8] = {};
    for (size_t i = 0; i < kWords; i += 8) {
      for (size_t j = 0; j < 8; ++j) sums[j] += memory[i + j];
    }
    for (const uint64_t sum : sums) sink = sink + sum;
  });
  return static_cast<double>(kWords) * 8 / seconds / 1e9;
}

}  // namespace

MachinePeaks MeasurePeaks(host::Clock& clock) { return {FmaGflops(clock), ReadGbps(clock)}; }

}  // namespace coracle::runtime
