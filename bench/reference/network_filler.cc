#include "network_filler.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

#include "fail.h"
#include "stable_random.h"
#include "synthetic_image.h"

namespace coracle::reference {
namespace {

// The sum of a residual block grows by its branch: 50 branches of this scale keep it below 3.
constexpr float kResidualBranchScale = 0.3F;
constexpr float kClassifierLogitStd = 1.8F;
// Lower for boxes, whose width and height are exponentials of the output.
constexpr float kDetectorLogitStd = 1.3F;
// A trained detector sees an object in few cells. Without this, half of all cells would hold one.
constexpr float kObjectnessBias = -4.0F;
// Statistics of a channel need this many positions; below it, those of the whole layer serve.
constexpr int kPositionsMin = 16;

/// A convolutional or fully-connected layer seen as filters: row f of the weights makes channel f
/// of the output. Borrows the layer's arrays.
struct Filters {
  int filter_count;
  int positions;  // of one channel
  std::span<float> weights;
  std::span<float> output;
  layer* source;

  std::span<float> WeightsOf(int filter) const { return RowOf(weights, filter); }
  std::span<float> OutputOf(int filter) const { return RowOf(output, filter); }

 private:
  std::span<float> RowOf(std::span<float> rows, int row) const {
    const size_t row_elements = rows.size() / static_cast<size_t>(filter_count);
    return rows.subspan(static_cast<size_t>(row) * row_elements, row_elements);
  }
};

bool HasFilters(const layer& candidate) {
  return candidate.type == CONVOLUTIONAL || candidate.type == CONNECTED;
}

/// Requires: HasFilters(source).
Filters FiltersOf(layer& source) {
  const bool is_connected = source.type == CONNECTED;
  const int filter_count = is_connected ? source.outputs : source.n;
  const size_t weight_count =
      is_connected ? static_cast<size_t>(source.inputs) * static_cast<size_t>(source.outputs)
                   : static_cast<size_t>(source.nweights);
  return {filter_count, source.outputs / filter_count, std::span(source.weights, weight_count),
          std::span(source.output, static_cast<size_t>(source.outputs)), &source};
}

struct Moments {
  double mean = 0;
  double deviation = 0;
};

Moments MomentsOf(std::span<const float> values) {
  double sum = 0;
  double squares = 0;
  for (const float value : values) sum += value;
  const double mean = sum / static_cast<double>(values.size());
  for (const float value : values) squares += (value - mean) * (value - mean);
  return {mean, std::sqrt(squares / static_cast<double>(values.size()))};
}

/// He initialisation: variance 2 / fan-in.
void InitialiseWeights(const Filters& filters, StableRandom& random) {
  const size_t fan_in = filters.weights.size() / static_cast<size_t>(filters.filter_count);
  const float deviation = std::sqrt(2.0F / static_cast<float>(fan_in));
  for (float& weight : filters.weights) weight = deviation * random.Normal();
}

/// Leaves in the output the sums alone: no batch norm, bias or activation.
void ForwardSumsOnly(const layer& source, const network& state) {
  std::vector<float> zero_biases(static_cast<size_t>(source.outputs), 0.0F);
  layer sums_only = source;
  sums_only.batch_normalize = 0;
  sums_only.activation = LINEAR;
  sums_only.biases = zero_biases.data();
  sums_only.forward(sums_only, state);
}

/// How the sums of each filter are distributed. No filter has a smaller deviation than the layer's
/// own: one that hardly answers this image may answer another, and must not be blown up.
std::vector<Moments> FilterMoments(const Filters& filters) {
  const Moments whole = MomentsOf(filters.output);
  const Moments around_zero{0, std::hypot(whole.mean, whole.deviation)};
  std::vector<Moments> moments(static_cast<size_t>(filters.filter_count), around_zero);
  if (filters.positions < kPositionsMin) return moments;
  double variance_sum = 0;
  for (int filter = 0; filter < filters.filter_count; ++filter) {
    Moments& of_filter = moments[static_cast<size_t>(filter)];
    of_filter = MomentsOf(filters.OutputOf(filter));
    variance_sum += of_filter.deviation * of_filter.deviation;
  }
  const double layer_deviation = std::sqrt(variance_sum / filters.filter_count);
  for (Moments& of_filter : moments) {
    of_filter.deviation = std::max(of_filter.deviation, layer_deviation);
  }
  return moments;
}

/// Draws batch norm's values around the sums that the filter computes, so that its result has a
/// standard deviation near `scale`; rescales the weights and the output to match.
void FitBatchNorm(const Filters& filters, int filter, const Moments& sums, float scale,
                  StableRandom& random) {
  const layer& target = *filters.source;
  const float variance = random.Uniform(0.5F, 2.0F);
  const float deviation = std::sqrt(variance);
  const float gain = deviation / static_cast<float>(sums.deviation);
  const float mean = gain * static_cast<float>(sums.mean) + 0.2F * deviation * random.Normal();
  const float filter_scale = scale * random.Uniform(0.6F, 1.4F);
  const float bias = 0.2F * scale * random.Normal();
  target.rolling_variance[filter] = variance;
  target.rolling_mean[filter] = mean;
  target.scales[filter] = filter_scale;
  target.biases[filter] = bias;
  for (float& weight : filters.WeightsOf(filter)) weight *= gain;
  for (float& value : filters.OutputOf(filter)) {
    value = (gain * value - mean) / deviation * filter_scale + bias;
  }
}

/// The same for a layer that has a bias only.
void FitBias(const Filters& filters, int filter, const Moments& sums, float scale,
             StableRandom& random) {
  const float gain = scale / static_cast<float>(sums.deviation);
  const float bias = 0.3F * scale * random.Normal() - gain * static_cast<float>(sums.mean);
  filters.source->biases[filter] = bias;
  for (float& weight : filters.WeightsOf(filter)) weight *= gain;
  for (float& value : filters.OutputOf(filter)) value = gain * value + bias;
}

/// Gives the layer its values and leaves its output computed.
void FillLayer(const DarknetLibrary& library, layer& target, float scale, const network& state,
               StableRandom& random) {
  const Filters filters = FiltersOf(target);
  InitialiseWeights(filters, random);
  ForwardSumsOnly(target, state);
  const std::vector<Moments> moments = FilterMoments(filters);
  for (int filter = 0; filter < filters.filter_count; ++filter) {
    const Moments& sums = moments[static_cast<size_t>(filter)];
    if (target.batch_normalize != 0) {
      FitBatchNorm(filters, filter, sums, scale, random);
    } else {
      FitBias(filters, filter, sums, scale, random);
    }
  }
  library.activate_array(target.output, target.outputs, target.activation);
}

/// A plain recurrent layer (rnn_layer.c): three connected ones. What goes round is half as loud as
/// what comes in, so that a sequence does not grow; its layer is fitted on what comes in, for the
/// state is zero yet.
void FillRecurrentLayer(const DarknetLibrary& library, const layer& target, const network& state,
                        StableRandom& random) {
  constexpr float kReturnScale = 0.5F;
  FillLayer(library, *target.input_layer, 1.0F, state, random);
  network hidden = state;
  hidden.input = target.input_layer->output;
  FillLayer(library, *target.self_layer, kReturnScale, hidden, random);
  FillLayer(library, *target.output_layer, 1.0F, hidden, random);
}

/// An image; of a network that takes a vector, noise.
std::vector<float> MakeSyntheticInput(const network& net, StableRandom& random) {
  if (net.h > 0) return MakeSyntheticImage(net.c, net.h, net.w, random);
  std::vector<float> values(static_cast<size_t>(net.inputs));
  for (float& value : values) value = random.Uniform(0.0F, 1.0F);
  return values;
}

/// Multiplies what the layer computes, from its weights or its batch norm on.
void MultiplyOutput(layer& target, float factor) {
  const Filters filters = FiltersOf(target);
  if (target.batch_normalize != 0) {
    for (int filter = 0; filter < filters.filter_count; ++filter) target.scales[filter] *= factor;
  } else {
    for (float& weight : filters.weights) weight *= factor;
  }
  for (int filter = 0; filter < filters.filter_count; ++filter) target.biases[filter] *= factor;
}

/// Index of the layer with filters that makes the logits of the head at `head_index`.
int FindLogitLayer(const network& net, int head_index) {
  int index = head_index - 1;
  while (index >= 0 && !HasFilters(net.layers[index])) {
    const LAYER_TYPE type = net.layers[index].type;
    if (type != AVGPOOL && type != DROPOUT) break;
    --index;
  }
  if (index < 0 || !HasFilters(net.layers[index])) {
    Fail("layer {} ({}) is not fed by a convolutional or connected layer", head_index,
         LayerTypeName(net.layers[head_index].type));
  }
  return index;
}

/// Lowers the objectness of each anchor; for the channels' order see yolo_layer.c and
/// region_layer.c.
void LowerObjectness(const layer& head, layer& logits) {
  const int coordinates = head.type == REGION ? head.coords : 4;
  const int anchor_channels = coordinates + 1 + head.classes;
  for (int anchor = 0; anchor < head.n; ++anchor) {
    logits.biases[anchor * anchor_channels + coordinates] += kObjectnessBias;
  }
}

/// Rescales the logits of a head; returns their standard deviation before the objectness bias.
double FitLogits(network& net, int head_index) {
  const layer& head = net.layers[head_index];
  const layer& input = net.layers[head_index - 1];
  layer& logit_layer = net.layers[FindLogitLayer(net, head_index)];
  const bool is_detector = head.type == YOLO || head.type == REGION;
  const double wanted = is_detector ? kDetectorLogitStd : kClassifierLogitStd;
  const std::span<float> logits(input.output, static_cast<size_t>(input.outputs));
  const double factor = wanted / MomentsOf(logits).deviation;
  MultiplyOutput(logit_layer, static_cast<float>(factor));
  for (float& value : logits) value *= static_cast<float>(factor);
  const double deviation = MomentsOf(logits).deviation;
  if (!std::isfinite(deviation)) Fail("layer {}: logits are not finite", head_index - 1);
  if (is_detector) LowerObjectness(head, logit_layer);
  return deviation;
}

/// Whether the output of layer `index` is only added to a shortcut.
bool IsResidualBranchEnd(const network& net, int index) {
  return index + 1 < net.n && net.layers[index + 1].type == SHORTCUT;
}

bool HasOtherWeights(LAYER_TYPE type) {
  return type == LOCAL || type == BATCHNORM || type == DECONVOLUTIONAL || type == GRU ||
         type == LSTM || type == CRNN;
}

}  // namespace

// Layers are filled in order, each on the output of those before it, as forward_network runs them.
std::vector<HeadLogits> FillNetwork(const DarknetLibrary& library, network& net, uint64_t seed) {
  StableRandom random(seed);
  std::vector<float> input = MakeSyntheticInput(net, random);
  network state = net;
  state.input = input.data();
  state.truth = nullptr;
  state.delta = nullptr;
  state.train = 0;
  std::vector<HeadLogits> heads;
  for (int index = 0; index < net.n; ++index) {
    layer& target = net.layers[index];
    state.index = index;
    if (HasOtherWeights(target.type)) {
      Fail("layer {} ({}): only convolutional, connected and rnn layers are filled", index,
           LayerTypeName(target.type));
    }
    if (HasFilters(target)) {
      const float scale = IsResidualBranchEnd(net, index) ? kResidualBranchScale : 1.0F;
      FillLayer(library, target, scale, state, random);
    } else {
      if (target.type == RNN) FillRecurrentLayer(library, target, state, random);
      if (IsHead(target)) {
        heads.push_back({index, FitLogits(net, index)});
      }
      target.forward(target, state);
    }
    state.input = target.output;
  }
  return heads;
}

}  // namespace coracle::reference
