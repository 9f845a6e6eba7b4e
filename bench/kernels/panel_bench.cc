// Layer by layer: our direct kernels and oneDNN's, each time divided by the multiply-add rate that
// the core reaches right before and after. `share` is what matters on a machine with neighbours; it
// is the median over iterations whose two rates agree.
//
// Run with OMP_NUM_THREADS=1 (oneDNN's threads).
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <vector>

#include "fma_peak.h"
#include "layer_list.h"
#include "our_layer.h"
#ifdef CORACLE_BENCH_ONEDNN
#include "onednn_layer.h"
#endif

namespace coracle::bench {
namespace {

/// Times `run` and reports it beside the peak. Layers of a few microseconds run several times.
template <class Run>
void Measure(benchmark::State& state, uint64_t multiply_adds, const Run& run) {
  constexpr double kSecondsMin = 50e-6;
  constexpr double kAgreement = 0.04;
  const auto repeats = static_cast<int>(
      std::ceil(kSecondsMin / (static_cast<double>(multiply_adds) / MeasureFmaPeak())));
  std::vector<double> shares;
  run();
  for (auto _ : state) {
    const double before = MeasureFmaPeak();
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < repeats; ++i) run();
    const std::chrono::duration<double> took = (std::chrono::steady_clock::now() - begin) / repeats;
    const double after = MeasureFmaPeak();
    state.SetIterationTime(took.count());
    const double peak = (before + after) / 2;
    if (std::abs(before - after) > kAgreement * peak) continue;
    shares.push_back(static_cast<double>(multiply_adds) / took.count() / peak);
  }
  if (!shares.empty()) {
    const auto middle = shares.begin() + static_cast<ptrdiff_t>(shares.size() / 2);
    std::nth_element(shares.begin(), middle, shares.end());
    state.counters["share"] = *middle;
  }
  state.counters["flops"] = benchmark::Counter(2.0 * static_cast<double>(multiply_adds),
                                               benchmark::Counter::kIsIterationInvariantRate);
}

void BenchOurs(benchmark::State& state, const kernels::LayerShape& shape) {
  OurLayer layer(shape);
  Measure(state, MultiplyAddsOf(shape, layer.output_elements()), [&] { layer.Run(); });
}

#ifdef CORACLE_BENCH_ONEDNN
void BenchOneDnn(benchmark::State& state, const kernels::LayerShape& shape) {
  const std::unique_ptr<OneDnnLayer> layer = OneDnnLayer::Make(shape);
  const size_t elements = kernels::LayerCase(shape, 1).OutputElements();
  Measure(state, MultiplyAddsOf(shape, elements), [&] { layer->Run(); });
}
#endif

void Register() {
  for (const NamedLayer& layer : BenchLayers()) {
    const kernels::LayerShape shape = layer.shape;
    benchmark::RegisterBenchmark((layer.name + "/coracle").c_str(),
                                 [shape](benchmark::State& state) { BenchOurs(state, shape); })
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
#ifdef CORACLE_BENCH_ONEDNN
    if (shape.kind == graph::OpKind::kConvTranspose) continue;
    benchmark::RegisterBenchmark((layer.name + "/onednn").c_str(),
                                 [shape](benchmark::State& state) { BenchOneDnn(state, shape); })
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
#endif
  }
}

}  // namespace
}  // namespace coracle::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  coracle::bench::Register();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
