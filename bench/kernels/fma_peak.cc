#include "fma_peak.h"

#include <chrono>
#include <cstddef>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "fma_peak.cc"
#include "hwy/foreach_target.h"
// Highway's order.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::bench::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Runs `rounds` rounds of 12 independent chains; returns the multiply-adds done.
HWY_ATTR double RunChains(size_t rounds) {
  const hn::ScalableTag<float> d;
  const auto x = hn::Set(d, 0.9999F);
  const auto y = hn::Set(d, 1e-6F);
  // Each chain starts elsewhere: equal ones would be computed once.
  auto a = hn::Iota(d, 1.0F);
  auto b = hn::Add(a, y), c = hn::Add(b, x), e = hn::Add(c, x), f = hn::Add(e, x);
  auto g = hn::Add(f, x), h = hn::Add(g, x), i = hn::Add(h, x), j = hn::Add(i, x);
  auto k = hn::Add(j, x), l = hn::Add(k, x), m = hn::Add(l, x);
  for (size_t round = 0; round < rounds; ++round) {
    a = hn::MulAdd(a, x, y);
    b = hn::MulAdd(b, x, y);
    c = hn::MulAdd(c, x, y);
    e = hn::MulAdd(e, x, y);
    f = hn::MulAdd(f, x, y);
    g = hn::MulAdd(g, x, y);
    h = hn::MulAdd(h, x, y);
    i = hn::MulAdd(i, x, y);
    j = hn::MulAdd(j, x, y);
    k = hn::MulAdd(k, x, y);
    l = hn::MulAdd(l, x, y);
    m = hn::MulAdd(m, x, y);
  }
  const auto sum = hn::Add(
      hn::Add(hn::Add(a, b), hn::Add(c, e)),
      hn::Add(hn::Add(hn::Add(f, g), hn::Add(h, i)), hn::Add(hn::Add(j, k), hn::Add(l, m))));
  volatile float keep = hn::GetLane(sum);
  static_cast<void>(keep);
  return 12.0 * static_cast<double>(rounds) * static_cast<double>(hn::Lanes(d));
}

}  // namespace coracle::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace coracle::bench {

HWY_EXPORT(RunChains);

double MeasureFmaPeak() {
  constexpr size_t kRounds = 10'000;
  const auto begin = std::chrono::steady_clock::now();
  const double done = HWY_DYNAMIC_DISPATCH(RunChains)(kRounds);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  return done / took.count();
}

}  // namespace coracle::bench
#endif
