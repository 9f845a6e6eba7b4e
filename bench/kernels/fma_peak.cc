#include "fma_peak.h"

#include <cstddef>
#include <cstdint>

#include "kernels/simd/panels_tile.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "fma_peak.cc"
#include "hwy/foreach_target.h"
// Highway's order.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::bench::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// As many as the registers hold beside the factors: with barely more chains than latency times
/// ports, a multiply-add that is bound to the busier port delays its chain.
inline constexpr size_t kChains = hn::MaxLanes(hn::ScalableTag<float>()) == 16 ? 24 : 12;

/// Runs `rounds` rounds of independent chains; returns the multiply-adds done.
HWY_ATTR double RunChains(size_t rounds) {
  using Tag = hn::ScalableTag<float>;
  const Tag d;
  const auto x = hn::Set(d, 0.9999F);
  const auto y = hn::Set(d, 1e-6F);
  hn::Vec<Tag> chains[kChains];
  // Each chain starts elsewhere: equal ones would be computed once.
  CORACLE_UNROLL for (size_t i = 0; i < kChains; ++i) {
    chains[i] = hn::Iota(d, static_cast<float>(i));
  }
  for (size_t round = 0; round < rounds; ++round) {
    CORACLE_UNROLL for (size_t i = 0; i < kChains; ++i) { chains[i] = hn::MulAdd(chains[i], x, y); }
  }
  auto sum = chains[0];
  CORACLE_UNROLL for (size_t i = 1; i < kChains; ++i) sum = hn::Add(sum, chains[i]);
  volatile float keep = hn::GetLane(sum);
  static_cast<void>(keep);
  return static_cast<double>(kChains * rounds * hn::Lanes(d));
}

}  // namespace coracle::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace coracle::bench {

double RunFmaChains() {
  constexpr size_t kRounds = 5'000;
  // Asked once: each question is several CPUID instructions, which a virtual machine traps.
  static const int64_t enabled = hwy::SupportedTargets() & HWY_TARGETS;
  switch (enabled & -enabled) {  // Highway numbers its targets best first
#if HWY_TARGETS & HWY_AVX3_DL
    case HWY_AVX3_DL:
      return N_AVX3_DL::RunChains(kRounds);
#endif
#if HWY_TARGETS & HWY_AVX3
    case HWY_AVX3:
      return N_AVX3::RunChains(kRounds);
#endif
#if HWY_TARGETS & HWY_AVX2
    case HWY_AVX2:
      return N_AVX2::RunChains(kRounds);
#endif
    default:
      return HWY_STATIC_DISPATCH(RunChains)(kRounds);
  }
}

}  // namespace coracle::bench
#endif
