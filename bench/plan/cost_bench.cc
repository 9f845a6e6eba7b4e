// The cost model beside the real kernels: every node of a sealed model in actions of 1, 2, 4, 8 and
// all rows, its weights held in the cache, held beyond it, and opened in every action.
//
//   cost_bench MODEL.sealed --key KEY [--nodes | --in-order] [--default-rates]
//
// prints milliseconds, measured and predicted, and the prediction's error for each manner of the
// whole network; with --nodes also for each node. First, or alone with --in-order, it runs the
// network from node to node, weights streamed, each node whole.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/owner_key.h"
#include "host/posix/blob.h"
#include "host/posix/clock.h"
#include "host/posix/read_file.h"
#include "kernels/fp_mode.h"
#include "node_timer.h"
#include "plan/cost.h"
#include "runtime/measure_rates.h"

namespace coracle::bench {
namespace {

constexpr std::array<uint32_t, 5> kRows = {1, 2, 4, 8, UINT32_MAX};
constexpr std::array<std::string_view, 3> kWeightNames = {"streamed", "held, near", "held, far"};

struct Options {
  std::string model;
  std::string key;
  bool nodes = false;
  bool default_rates = false;
  bool in_order = false;
};

/// Milliseconds of one network, or node, in one manner.
struct Comparison {
  double measured = 0;
  double predicted = 0;
  double Error() const { return predicted / measured - 1; }
  Comparison& operator+=(const Comparison& other) {
    measured += other.measured;
    predicted += other.predicted;
    return *this;
  }
};

double Predict(const graph::Node& node, const plan::NodeCost& cost, uint32_t all, uint32_t rows,
               Weights weights) {
  plan::Manner manner{.split = plan::Split::kNone, .workers = 1};
  if (!node.weights.chunks.empty()) {
    const bool streamed = weights == Weights::kStreamed && plan::PanelGroups(node.weights) > 0;
    manner.weights = streamed ? plan::WeightsMode::kStreamed : plan::WeightsMode::kHeld;
    if (weights == Weights::kCold) manner.open_bytes = plan::kUnlimited;
  }
  double ms = all / rows * plan::ActionMs(cost, node, rows, manner);
  if (all % rows > 0) ms += plan::ActionMs(cost, node, all % rows, manner);
  return ms;
}

struct Network {
  const graph::Graph& graph;
  seal::ChunkOpener& opener;
  host::Clock& clock;
  const plan::MachineRates& rates;
  BenchArena arena = {};
  std::array<std::array<Comparison, kWeightNames.size()>, kRows.size()> totals{};

  void Compare(const graph::Node& node, bool print) {
    const uint32_t all = plan::OutputRows(graph, node);
    const plan::NodeCost cost(graph, node, rates);
    for (size_t i = 0; i < kRows.size(); ++i) {
      const uint32_t rows = std::min(kRows[i], all);
      NodeTimer timer(graph, node, rows, opener, arena);
      std::array<Comparison, kWeightNames.size()> last;
      for (size_t j = 0; j < kWeightNames.size(); ++j) {
        const auto weights = static_cast<Weights>(j);
        if (j > 0 && node.weights.chunks.empty()) {
          totals[i][j] += last[j] = last[0];
          continue;
        }
        const Comparison here{timer.Milliseconds(weights, clock, rates),
                              Predict(node, cost, all, rows, weights)};
        totals[i][j] += here;
        last[j] = here;
        if (!print) continue;
        fmt::print("{:<24.24} {:<14} rows {:>4} of {:>4} {:<10} {:9.4f} {:9.4f} {:+5.0f} %\n",
                   node.name, graph::OpName(node.kind()), rows, all, kWeightNames[j], here.measured,
                   here.predicted, 100 * here.Error());
      }
      if (rows < all) continue;
      // The other columns hold the same action.
      for (size_t k = i + 1; k < kRows.size(); ++k) {
        for (size_t j = 0; j < kWeightNames.size(); ++j) totals[k][j] += last[j];
      }
      break;
    }
  }

  /// All nodes in order, each whole and its weights opened on the way, as a prediction with memory
  /// for every layer does it: no weight is in any cache when its turn comes.
  void CompareInOrder() {
    constexpr int kPasses = 6;
    uint64_t floats = 0;
    for (const graph::Node& node : graph.nodes) {
      floats = std::max(floats, NodeTimer::FloatsFor(graph, node));
    }
    arena.Reserve(floats);
    std::vector<NodeTimer> timers;
    timers.reserve(graph.nodes.size());
    Comparison total;
    for (const graph::Node& node : graph.nodes) {
      const uint32_t all = plan::OutputRows(graph, node);
      timers.emplace_back(graph, node, all, opener, arena);
      const plan::NodeCost cost(graph, node, rates);
      total.predicted += Predict(node, cost, all, all, Weights::kStreamed) + cost.FirstRead();
    }
    std::vector<double> best_ms(timers.size(), 1e12);
    for (int pass = 0; pass < kPasses; ++pass) {
      for (size_t i = 0; i < timers.size(); ++i) {
        const uint64_t start = clock.NowNanoseconds();
        timers[i].ComputeOnce(Weights::kStreamed);
        best_ms[i] =
            std::min(best_ms[i], static_cast<double>(clock.NowNanoseconds() - start) * 1e-6);
      }
    }
    for (const double ms : best_ms) total.measured += ms;
    fmt::print("in order, streamed: measured {:.2f} ms predicted {:.2f} ms {:+.0f} %\n",
               total.measured, total.predicted, 100 * total.Error());
  }

  void PrintTotals(std::string_view name) const {
    for (size_t i = 0; i < kRows.size(); ++i) {
      for (size_t j = 0; j < kWeightNames.size(); ++j) {
        const Comparison& total = totals[i][j];
        fmt::print("{:<16} {:>4} rows {:<10} measured {:9.2f} ms predicted {:9.2f} ms {:+5.0f} %\n",
                   name, kRows[i] == UINT32_MAX ? "all" : std::to_string(kRows[i]), kWeightNames[j],
                   total.measured, total.predicted, 100 * total.Error());
      }
    }
  }
};

void PrintRates(const plan::MachineRates& rates) {
  fmt::print(
      "rates: fma {:.0f} GFLOP/s, tile {:.1f} ns, window {:.2f} ns, call {:.0f} ns, depthwise "
      "{:.3f} ns, vector {:.2f} ns, pixel {:.2f} ns, exponential {:.1f} ns, activations {:.1f} "
      "GB/s, weights {:.1f} GB/s, AES-GCM {:.1f} GB/s, open {:.0f} ns\n",
      rates.fma_gflops, rates.tile_ns, rates.window_ns, rates.call_ns, rates.depthwise_ns,
      rates.vector_ns, rates.pixel_ns, rates.exponential_ns, rates.activation_gbps,
      rates.weight_gbps, rates.aead_gbps, rates.open_ns);
}

Status CompareModel(const Options& options) {
  TRY_ASSIGN(const std::vector<std::byte> text, host::ReadWholeFile(options.key, 4096));
  TRY_ASSIGN(const crypto::Key256 key, crypto::DecodeOwnerKey(text));
  TRY_ASSIGN(const auto blob, host::OpenBlob(options.model, host::BlobAccess::kView));
  TRY_ASSIGN(const auto model, seal::SealedModel::Open(*blob, key, crypto::PreferredAeadBackend()));
  TRY(seal::CheckAllChunks(*model, nullptr));
  TRY_ASSIGN(const auto opener, model->NewOpener());
  std::vector<std::byte> memory(graph::kChunkAlignment + graph::kDecoderContextBytes +
                                graph::kMaxChunkBytes);
  void* room = memory.data();
  size_t room_bytes = memory.size();
  std::align(graph::kChunkAlignment, 1, room, room_bytes);
  opener->LendDecodingRoom({static_cast<std::byte*>(room), room_bytes});
  host::PosixClock clock;
  plan::MachineRates rates;
  if (!options.default_rates) {
    const uint64_t start = clock.NowNanoseconds();
    TRY_ASSIGN(const plan::MachineRates measured, runtime::MeasureRates(clock));
    fmt::print("measured in {:.1f} ms\n",
               static_cast<double>(clock.NowNanoseconds() - start) * 1e-6);
    rates = measured;
  }
  PrintRates(rates);
  const kernels::ScopedFlushSubnormals flush;
  const graph::Graph& graph = model->manifest().graph;
  Network network{.graph = graph, .opener = *opener, .clock = clock, .rates = rates};
  network.CompareInOrder();
  if (options.in_order) return {};
  for (const graph::Node& node : graph.nodes) network.Compare(node, options.nodes);
  network.PrintTotals(model->manifest().name);
  return {};
}

int Run(const std::vector<std::string_view>& arguments) {
  Options options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--key" && i + 1 < arguments.size()) {
      options.key = arguments[++i];
    } else if (arguments[i] == "--nodes") {
      options.nodes = true;
    } else if (arguments[i] == "--in-order") {
      options.in_order = true;
    } else if (arguments[i] == "--default-rates") {
      options.default_rates = true;
    } else {
      options.model = arguments[i];
    }
  }
  if (options.model.empty() || options.key.empty()) {
    fmt::print(
        stderr,
        "usage: cost_bench MODEL.sealed --key KEY [--nodes | --in-order] [--default-rates]\n");
    return 2;
  }
  const Status status = CompareModel(options);
  if (status.ok()) return 0;
  fmt::print(stderr, "cost_bench: {}\n", status.error().message);
  return 1;
}

}  // namespace
}  // namespace coracle::bench

int main(int argc, char** argv) { return coracle::bench::Run({argv + 1, argv + argc}); }
