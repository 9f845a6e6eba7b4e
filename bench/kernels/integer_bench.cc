// Layer by layer: our integer kernels (WeightType::kDot8) beside oneDNN's and beside our own
// float32 kernels, on one thread. A Google Benchmark program; panel_bench.cc says how turns are
// taken.
//
// oneDNN is held to AVX-512 VNNI, the instructions that ours are made for; --amx lets it take what
// the machine has.
//
// Counters: `share` of four times the multiply-add peak in float32 (what 8-bit dot products reach
// on AVX-512 VNNI), `ratio` to oneDNN's time, `faster` than our float32 kernel, GOP/s.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <string_view>

#include "contest.h"
#include "crew.h"
#include "integer_layer.h"
#include "layer_list.h"
#include "our_layer.h"
#ifdef CORACLE_BENCH_ONEDNN
#include "onednn_layer.h"
#endif

namespace coracle::bench {
namespace {

constexpr double kSeconds = 0.1;
constexpr double kDotsPerMultiplyAdd = 4;

void Measure(const ListedLayer& layer, Crew& crew, benchmark::State& state) {
  IntegerLayer ours(layer.shape);
  OurLayer floats(layer.shape, Weights::kOpened, crew);
  const Contest beside_floats{.multiply_adds = MultiplyAddsOf(layer.shape, ours.output_elements()),
                              .ours = [&] { ours.Run(); },
                              .theirs = [&] { floats.Run(); },
                              .seconds = kSeconds};
  Contest beside_onednn = beside_floats;
  beside_onednn.theirs = {};
#ifdef CORACLE_BENCH_ONEDNN
  const std::unique_ptr<OneDnnLayer> theirs = OneDnnLayer::MakeInteger(layer.shape);
  if (theirs != nullptr) beside_onednn.theirs = [&] { theirs->Run(); };
#endif
  ContestResult result;
  for (auto _ : state) {
    result = Hold(beside_onednn, crew);
    state.SetIterationTime(result.seconds);
  }
  state.counters["count"] = layer.count;
  state.counters["share"] = result.share / kDotsPerMultiplyAdd;
  state.counters["GOP/s"] =
      2e-9 * static_cast<double>(beside_floats.multiply_adds) / result.seconds;
  if (beside_onednn.theirs) {
    state.counters["onednn_share"] = result.their_share / kDotsPerMultiplyAdd;
    state.counters["ratio"] = result.ratio;
  }
  state.counters["faster"] = 1 / Hold(beside_floats, crew).ratio;
}

void Register(Crew& crew) {
  for (ListedLayer layer : ListedLayers()) {
    if (layer.shape.kind == graph::OpKind::kConvTranspose) continue;
    layer.shape = AsSealed(layer.shape);
    const std::string name = layer.network + "/" + layer.name;
    benchmark::RegisterBenchmark(
        name.c_str(), [layer, &crew](benchmark::State& state) { Measure(layer, crew, state); })
        ->Iterations(1)
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
  }
}

}  // namespace
}  // namespace coracle::bench

int main(int argc, char** argv) {
#ifdef CORACLE_BENCH_ONEDNN
  if (argc > 1 && std::string_view(argv[1]) == "--amx") {
    --argc;
    ++argv;
  } else {
    coracle::bench::OneDnnLayer::HoldToVnni();
  }
#endif
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  coracle::bench::Crew crew(1);
  coracle::bench::Register(crew);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
