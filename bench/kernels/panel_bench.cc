// Layer by layer: our kernels beside oneDNN's and beside the multiply-add rate that the same
// threads reach right before and after (contest.h). A Google Benchmark program: its flags choose
// layers and output (--benchmark_filter=resnet50/, --benchmark_out=FILE for JSON), and these come
// before:
//
//   --threads N    1 (the default) or 2, for both engines
//   --sealed       our weights are opened from ciphertext, chunk by chunk
//   --target NAME  the Highway target (AVX3_DL, AVX3, AVX2), and oneDNN held to the same
//   --exact        direct sums only, as `coracle seal --exact` has them
//   --quick        a tenth of the time
//
// Counters of a layer: `share` of the peak, `ratio` to oneDNN's time, GFLOP/s, and `count` in its
// network; of Winograd's layers `error`, the largest difference from float64 sums as a share of the
// largest magnitude. After the layers, each network's means (network_score.h).
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "contest.h"
#include "crew.h"
#include "hwy/targets.h"
#include "layer_list.h"
#include "network_score.h"
#include "our_layer.h"
#ifdef CORACLE_BENCH_ONEDNN
#include "onednn_layer.h"
#endif

namespace coracle::bench {
namespace {

struct Options {
  uint32_t threads = 1;
  Weights weights = Weights::kOpened;
  std::string target;
  bool exact = false;
  double seconds_per_layer = 0.3;
};

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options), crew_(options.threads) {}

  /// Each layer with the algorithm that it would be sealed with (`--exact`: direct); oneDNN's side
  /// is always its direct convolution.
  void Register() {
    for (ListedLayer layer : ListedLayers()) {
      if (!options_.exact) layer.shape = AsSealed(layer.shape);
      RegisterLayer(layer);
    }
    for (const char* network :
         {"resnet50", "vgg16", "yolov3", "mobilenet2", "densenet121", "other", ""}) {
      RegisterScore(network);
    }
  }

 private:
  void RegisterLayer(const ListedLayer& layer) {
    const std::string name = layer.network + "/" + layer.name + "/" +
                             std::string(graph::AlgorithmName(layer.shape.algorithm));
    benchmark::RegisterBenchmark(name.c_str(),
                                 [this, layer](benchmark::State& state) { Measure(layer, state); })
        ->Iterations(1)
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
  }

  void RegisterScore(const std::string& network) {
    const std::string name = (network.empty() ? "all" : network) + "/score";
    benchmark::RegisterBenchmark(
        name.c_str(), [this, network](benchmark::State& state) { Score(network, state); })
        ->Iterations(1)
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
  }

  void Measure(const ListedLayer& layer, benchmark::State& state) {
    OurLayer ours(layer.shape, options_.weights, crew_);
    Contest contest{.multiply_adds = MultiplyAddsOf(layer.shape, ours.output_elements()),
                    .ours = [&] { ours.Run(); },
                    .theirs = {},
                    .seconds = options_.seconds_per_layer};
#ifdef CORACLE_BENCH_ONEDNN
    const std::unique_ptr<OneDnnLayer> theirs = OneDnnLayer::Make(layer.shape);
    if (theirs != nullptr) contest.theirs = [&] { theirs->Run(); };
#endif
    ContestResult result;
    for (auto _ : state) {
      result = Hold(contest, crew_);
      state.SetIterationTime(result.seconds);
    }
    if (layer.shape.algorithm != graph::ConvAlgorithm::kDirect) {
      state.counters["error"] = ours.ErrorAgainstFloat64();
    }
    state.counters["count"] = layer.count;
    state.counters["share"] = result.share;
    state.counters["GFLOP/s"] = 2e-9 * static_cast<double>(contest.multiply_adds) / result.seconds;
    if (contest.theirs) {
      state.counters["onednn_share"] = result.their_share;
      state.counters["ratio"] = result.ratio;
    }
    scores_.push_back({.network = layer.network,
                       .name = layer.name,
                       .count = layer.count,
                       .inputs = layer.shape.inputs,
                       .multiply_adds = contest.multiply_adds,
                       .seconds = result.seconds,
                       .share = result.share,
                       .ratio = result.ratio});
  }

  void Score(const std::string& network, benchmark::State& state) {
    const NetworkScore score = ScoreOf(scores_, network);
    for (auto _ : state) state.SetIterationTime(score.seconds);
    if (score.layers == 0) {
      state.SkipWithError("none of its layers was run");
      return;
    }
    state.counters["layers"] = score.layers;
    state.counters["share"] = score.share;
    state.counters["share_mean"] = score.share_mean;
    state.counters["share_min"] = score.share_min;
    if (score.ratio_max == 0) return;
    state.counters["ratio_geomean"] = score.ratio_mean;
    state.counters["ratio_total"] = score.ratio_total;
    state.counters["ratio_max"] = score.ratio_max;
  }

  const Options options_;
  Crew crew_;
  std::vector<LayerScore> scores_;
};

/// Takes our options out of the arguments. False if one is wrong.
bool ParseOptions(int& argc, char** argv, Options& options) {
  int left = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--sealed") {
      options.weights = Weights::kSealed;
    } else if (argument == "--exact") {
      options.exact = true;
    } else if (argument == "--quick") {
      options.seconds_per_layer = 0.03;
    } else if (argument == "--threads" && i + 1 < argc) {
      const std::string_view threads = argv[++i];
      if (threads != "1" && threads != "2") return false;
      options.threads = threads == "1" ? 1 : 2;
    } else if (argument == "--target" && i + 1 < argc) {
      options.target = argv[++i];
    } else {
      argv[left++] = argv[i];
    }
  }
  argc = left;
  argv[argc] = nullptr;
  return true;
}

/// Leaves no better target than the named one. False if the machine does not run it.
bool HoldToTarget(const std::string& name) {
  if (name.empty()) return true;
  const int64_t supported = hwy::SupportedTargets();
  for (int64_t left = supported; left != 0; left &= left - 1) {
    const int64_t target = left & -left;
    if (name != hwy::TargetName(target)) continue;
    hwy::DisableTargets(target - 1);  // the better ones
    return true;
  }
  return false;
}

/// OpenMP reads its settings when the process starts: sets them and starts over. An idle thread of
/// OpenMP's falls asleep within a millisecond, before our turn.
void SetEnvironment(const Options& options, char** argv) {
  constexpr const char* kMark = "CORACLE_BENCH_ENVIRONMENT_SET";
  if (std::getenv(kMark) != nullptr) return;
  setenv(kMark, "1", 1);
  setenv("OMP_NUM_THREADS", std::to_string(options.threads).c_str(), 1);
  setenv("GOMP_SPINCOUNT", "10000", 1);
  if (options.target == "AVX2") setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
  execv("/proc/self/exe", argv);
}

}  // namespace
}  // namespace coracle::bench

int main(int argc, char** argv) {
  std::vector<char*> arguments(argv, argv + argc + 1);
  coracle::bench::Options options;
  if (!coracle::bench::ParseOptions(argc, arguments.data(), options) ||
      !coracle::bench::HoldToTarget(options.target)) {
    std::fprintf(stderr, "panel_bench: --threads 1|2, --target one that this machine runs\n");
    return 2;
  }
  coracle::bench::SetEnvironment(options, argv);
  benchmark::Initialize(&argc, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(argc, arguments.data())) return 2;
  coracle::bench::Bench bench(options);
  bench.Register();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
