#include "cmd/support/machine_rates.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "crypto/aead.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace coracle::cmd {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr int kTries = 5;
// Direct convolution kernels reach about this share of the peak on real layers.
constexpr double kKernelShare = 0.8;

double SecondsOf(const auto& work) {
  double best = 1e9;
  for (int i = 0; i < kTries; ++i) {
    const SteadyClock::time_point start = SteadyClock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(SteadyClock::now() - start).count());
  }
  return best;
}

constexpr int kChains = 12;
constexpr int kRounds = 8000;

#if defined(__x86_64__)
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

double FmaGflops() {
#if defined(__x86_64__)
  volatile float sink = 0;
  float values[16] = {};
  const bool wide = __builtin_cpu_supports("avx512f") != 0;
  if (wide || __builtin_cpu_supports("fma") != 0) {
    const double seconds = SecondsOf([&] { wide ? FmaChains512(values) : FmaChains256(values); });
    sink = values[0];
    (void)sink;
    return 2.0 * kChains * kRounds * (wide ? 16 : 8) / seconds / 1e9;
  }
#endif
  return 4;  // a machine without FMA: a floor that only orders plans
}

double AeadGbps() {
  constexpr size_t kBytes = 256 * 1024;
  const crypto::Key256 key;
  Result<std::unique_ptr<crypto::Aead>> aead =
      crypto::MakeAead(crypto::PreferredAeadBackend(), key);
  if (!aead.ok()) return 1;
  std::vector<std::byte> plain(kBytes);
  std::vector<std::byte> sealed(kBytes);
  crypto::Tag tag{};
  const crypto::Nonce nonce{};
  (*aead)->Seal(nonce, {}, plain, sealed, tag);
  const double seconds = SecondsOf([&] {
    for (int i = 0; i < 4; ++i) (void)(*aead)->Open(nonce, {}, sealed, tag, plain);
  });
  return 4.0 * kBytes / seconds / 1e9;
}

double ReadGbps() {
  constexpr size_t kWords = size_t{16} << 20 >> 3;
  const std::vector<uint64_t> memory(kWords, 1);
  volatile uint64_t sink = 0;
  const double seconds = SecondsOf([&] {
    uint64_t sums[8] = {};
    for (size_t i = 0; i < kWords; i += 8) {
      for (size_t j = 0; j < 8; ++j) sums[j] += memory[i + j];
    }
    for (const uint64_t sum : sums) sink = sink + sum;
  });
  return static_cast<double>(kWords) * 8 / seconds / 1e9;
}

}  // namespace

MachineRatesReport MeasureRates() {
  MachineRatesReport report;
  report.fma_gflops = FmaGflops();
  report.aead_gbps = AeadGbps();
  report.read_gbps = ReadGbps();
  report.plan.fma_gflops = report.fma_gflops * kKernelShare;
  report.plan.aead_gbps = report.aead_gbps;
  report.plan.copy_gbps = report.read_gbps / 2;
  return report;
}

}  // namespace coracle::cmd
