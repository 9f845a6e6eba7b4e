#include "runtime/measure_rates.h"

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "crypto/aead.h"
#include "graph/graph.h"
#include "kernels/fp_mode.h"
#include "kernels/kernel.h"
#include "kernels/packing.h"
#include "plan/node_cost.h"
#include "runtime/decode_sample.h"
#include "runtime/small_layer.h"

namespace coracle::runtime {
namespace {

/// All are measured so often in turn; the least counts. A neighbour on the machine disturbs some
/// rounds, seldom all.
constexpr int kRounds = 8;
/// Of one operand; two are more than a second-level cache holds.
constexpr uint64_t kFarBytes = uint64_t{3} << 20;
constexpr uint64_t kSealedBytes = uint64_t{128} << 10;
constexpr uint64_t kSmallBytes = 64;
/// Rates that are differences of two times are never taken for less than this share of the usual.
constexpr double kLeastShare = 0.2;

constexpr double plan::MachineRates::*kAllRates[] = {
    &plan::MachineRates::fma_gflops,      &plan::MachineRates::tile_ns,
    &plan::MachineRates::window_ns,       &plan::MachineRates::call_ns,
    &plan::MachineRates::depthwise_ns,    &plan::MachineRates::vector_ns,
    &plan::MachineRates::pixel_ns,        &plan::MachineRates::exponential_ns,
    &plan::MachineRates::activation_gbps, &plan::MachineRates::weight_gbps,
    &plan::MachineRates::aead_gbps,       &plan::MachineRates::open_ns,
    &plan::MachineRates::decode_gbps,     &plan::MachineRates::dot8_gops};

/// Something that is timed again and again.
struct Trial {
  std::function<void()> run;
  int repeats = 1;     ///< of one timing, so that it takes some microseconds
  double best_ns = 0;  ///< of one run
};

void TimeOnce(Trial& trial, host::Clock& clock) {
  const uint64_t start = clock.NowNanoseconds();
  for (int i = 0; i < trial.repeats; ++i) trial.run();
  const auto took = static_cast<double>(clock.NowNanoseconds() - start) / trial.repeats;
  if (trial.best_ns == 0 || took < trial.best_ns) trial.best_ns = took;
}

graph::Conv Pointwise(uint32_t outputs) {
  return {.window = {}, .groups = 1, .out_channels = outputs};
}

graph::Conv Depthwise3x3(uint32_t channels) {
  return {.window = {.kernel_h = 3, .kernel_w = 3, .pad_left = 1, .pad_right = 1},
          .groups = channels,
          .out_channels = channels};
}

// Pixels of the layers below.
constexpr uint32_t kPixels = 96;
constexpr uint32_t kRows = 4;
constexpr uint32_t kDeep = 512;  // input channels of full tiles
constexpr double kTilePixels = 6;
constexpr uint32_t kWide = 192;  // channels of the wide ones: 12 vectors
constexpr uint32_t kFarInputs = 2048;
constexpr uint32_t kFarOutputs = 512;

/// Every layer, in the order in which its rate is found: each needs those before it.
enum Layer : uint8_t {
  kFullTiles,  // fma_gflops
  kShallow,    // tile_ns, window_ns
  kOnePixel,   // call_ns
  kAffine,     // vector_ns
  kBroadcast,  // pixel_ns
  kSigmoid,    // exponential_ns
  kDepthwise,  // depthwise_ns
  kFarAffine,  // activation_gbps
  kFarDense,   // weight_gbps
  kFullBytes,  // dot8_gops
  kLayerCount,
};

SmallLayer FullTileLayer(DType dtype = DType::kFloat32) {
  return {Pointwise(kernels::kPanelChannels),
          std::vector{Shape({1, 1, kPixels, kDeep})},
          Shape({1, 1, kPixels, kernels::kPanelChannels}),
          {},
          dtype};
}

std::vector<SmallLayer> MakeLayers() {
  const Shape wide({1, kRows, kPixels, kWide});
  const Shape narrow({1, kRows, kPixels, 16});
  const Shape far({1, kFarBytes / sizeof(float) / 1024, 4, 256});
  graph::Binary add;
  std::vector<SmallLayer> layers;
  layers.reserve(kLayerCount);
  layers.push_back(FullTileLayer());
  layers.emplace_back(Pointwise(64), std::vector{narrow}, Shape({1, kRows, kPixels, 64}));
  layers.emplace_back(Pointwise(16), std::vector{Shape({1, 1, 1, 16})}, Shape({1, 1, 1, 16}));
  layers.emplace_back(graph::Affine{}, std::vector{wide}, wide);
  layers.emplace_back(add, std::vector{narrow, Shape({1, 1, 1, 16})}, narrow);
  layers.emplace_back(graph::Unary{}, std::vector{narrow}, narrow,
                      graph::Activation{.kind = graph::ActivationKind::kSigmoid});
  layers.emplace_back(Depthwise3x3(kWide), std::vector{Shape({1, kRows + 2, kPixels / 2, kWide})},
                      Shape({1, kRows, kPixels / 2, kWide}));
  layers.emplace_back(graph::Affine{}, std::vector{far}, far);
  layers.emplace_back(graph::Dense{kFarOutputs}, std::vector{Shape({1, kFarInputs})},
                      Shape({1, kFarOutputs}));
  layers.push_back(FullTileLayer(DType::kUint8));
  return layers;
}

/// At least a share of the usual rate: differences of small times can vanish.
double AtLeast(double measured, double usual) { return std::max(measured, usual * kLeastShare); }

/// The rate of the multiply-adds of kFullTiles or kFullBytes. What is beside them is little: the
/// usual will do.
double FullTileGflops(double ns, double tile_share = 1) {
  const plan::MachineRates usual;
  constexpr double kFlops = 2.0 * kPixels * kDeep * kernels::kPanelChannels;
  const double beside =
      kPixels / kTilePixels * usual.tile_ns * tile_share + 2 * kPixels * usual.window_ns;
  return kFlops / std::max(ns - beside, 1.0);
}

/// What the layers' best times say of the rates. Each formula is node_cost.h's, solved for one.
void SolveRates(std::span<const double> ns, plan::MachineRates& rates) {
  const plan::MachineRates usual;
  constexpr double kAllPixels = double{kPixels} * kRows;
  // Scalar work beside the tile in a fixed proportion: the two are alike.
  const double window_share = usual.window_ns / usual.tile_ns;
  rates.fma_gflops = FullTileGflops(ns[kFullTiles]);
  rates.dot8_gops = FullTileGflops(ns[kFullBytes], plan::kDot8TileShare);
  const double tile_fma_ns = 2.0 * kTilePixels * 16 * 64 / rates.fma_gflops;
  const double shallow_ns = ns[kShallow] / (kAllPixels / kTilePixels) - tile_fma_ns;
  rates.tile_ns = AtLeast(shallow_ns / (1 + 2 * kTilePixels * window_share), usual.tile_ns);
  rates.window_ns = rates.tile_ns * window_share;
  rates.call_ns = AtLeast(
      ns[kOnePixel] - rates.tile_ns - 20 * rates.window_ns - 16 * 8 * 16 * 2 / rates.fma_gflops,
      usual.call_ns);
  constexpr double kVectors = kWide / 16.0;
  rates.vector_ns = ns[kAffine] / kAllPixels / (kVectors + 0.6);
  rates.pixel_ns = AtLeast(ns[kBroadcast] / kAllPixels - rates.vector_ns, usual.pixel_ns);
  rates.exponential_ns = ns[kSigmoid] / kAllPixels;
  const double pixel_ns = ns[kDepthwise] / (kAllPixels / 2);
  rates.depthwise_ns =
      AtLeast((pixel_ns - 3 * 2.7 * rates.window_ns - kVectors * rates.vector_ns) / (9 * kVectors),
              usual.depthwise_ns);
  constexpr double kMoved = 2.0 * kFarBytes;
  const double near_ns = kFarBytes / 64.0 * rates.vector_ns;
  rates.activation_gbps =
      kMoved / AtLeast(ns[kFarAffine] - near_ns, kMoved / usual.activation_gbps);
  const double weights = 4.0 * (kFarInputs + 1) * kFarOutputs;
  const double chain_ns = weights / 256 * 8 * 16 * 2 / rates.fma_gflops;
  rates.weight_gbps = weights / AtLeast(ns[kFarDense] - chain_ns, weights / usual.weight_gbps);
}

/// Keeps what a clock that stands still, jumps or lies would say from dividing by nothing.
void Bound(plan::MachineRates& rates) {
  constexpr double kFactor = 50;
  const plan::MachineRates usual;
  for (double plan::MachineRates::*const rate : kAllRates) {
    rates.*rate = std::clamp(rates.*rate, usual.*rate / kFactor, usual.*rate * kFactor);
  }
}

/// Times the layers, AES-GCM and decoding in turn.
void MeasureLayers(std::vector<SmallLayer>& layers, crypto::Aead& aead, host::Clock& clock,
                   plan::MachineRates& rates) {
  uint64_t floats = 0;
  for (const SmallLayer& layer : layers) floats = std::max(floats, layer.FloatCount());
  AlignedFloats memory(floats);
  AlignedFloats zeros(layers[kFullBytes].FloatCount(), 0);  // zero points of weights take time
  std::vector<Trial> trials;
  for (uint8_t i = 0; i < kLayerCount; ++i) {
    layers[i].Place(i == kFullBytes ? zeros.data() : memory.data());
    trials.push_back({[&layer = layers[i]] { layer.Run(); }, i == kOnePixel ? 32 : 1});
  }
  const auto bytes = std::as_writable_bytes(std::span(memory.data(), floats));
  const std::span<std::byte> sealed = bytes.subspan(0, kSealedBytes);
  const std::span<std::byte> plain = bytes.subspan(kSealedBytes, kSealedBytes);
  const crypto::Nonce nonce{};
  crypto::Tag tag{};
  const auto open = [&](uint64_t count) {
    aead.Seal(nonce, {}, plain.first(count), sealed.first(count), tag);
    Trial trial{[&aead, &nonce, &tag, sealed, plain, count] {
                  (void)aead.Open(nonce, {}, sealed.first(count), tag, plain.first(count));
                },
                count < kSealedBytes ? 32 : 2};
    TimeOnce(trial, clock);
    TimeOnce(trial, clock);
    return trial.best_ns;
  };
  DecodeSample sample;
  Trial decode{[&sample] { sample.Decode(); }};
  double open_ns = 0;
  double open_all_ns = 0;
  for (int round = 0; round < kRounds; ++round) {
    for (Trial& trial : trials) {
      trial.run();  // brings its operands in
      TimeOnce(trial, clock);
    }
    TimeOnce(decode, clock);
    const double small = open(kSmallBytes);
    const double all = open(kSealedBytes);
    open_ns = round == 0 ? small : std::min(open_ns, small);
    open_all_ns = round == 0 ? all : std::min(open_all_ns, all);
  }
  std::array<double, kLayerCount> best{};
  for (uint8_t i = 0; i < kLayerCount; ++i) best[i] = trials[i].best_ns;
  SolveRates(best, rates);
  rates.open_ns = open_ns;
  rates.decode_gbps = DecodeSample::kBytes / std::max(decode.best_ns, 1.0);
  rates.aead_gbps = kSealedBytes / std::max(open_all_ns - open_ns, 1.0);
}

}  // namespace

Result<plan::MachineRates> MeasureRates(host::Clock& clock) {
  const crypto::Key256 key;  // zeros: what is sealed with it is no secret
  TRY_ASSIGN(const std::unique_ptr<crypto::Aead> aead,
             crypto::MakeAead(crypto::PreferredAeadBackend(), key));
  const kernels::ScopedFlushSubnormals flush;
  std::vector<SmallLayer> layers = MakeLayers();
  plan::MachineRates rates;
  MeasureLayers(layers, *aead, clock, rates);
  Bound(rates);
  return rates;
}

double MeasurePace(host::Clock& clock, const plan::MachineRates& rates) {
  const kernels::ScopedFlushSubnormals flush;
  SmallLayer layer = FullTileLayer();
  AlignedFloats memory(layer.FloatCount());
  layer.Place(memory.data());
  Trial trial{[&layer] { layer.Run(); }};
  trial.run();
  for (int i = 0; i < 2; ++i) TimeOnce(trial, clock);
  return rates.fma_gflops / FullTileGflops(trial.best_ns);
}

}  // namespace coracle::runtime
