#include "compile/equalize_channels.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include "compile/layer_weights.h"
#include "compile/node_kinds.h"
#include "compile/split_residuals.h"
#include "compile/tensor_groups.h"

namespace coracle::compile {
namespace {

using graph::Graph;
using graph::Node;
using graph::OpKind;
using graph::TensorIndex;

/// Channels (and weights of an input) smaller than this share of the largest count as so large:
/// what is as good as zero is not to be blown up.
constexpr float kShareMin = 1.0F / 1024;

/// f(s x) = s f(x) for every s > 0.
bool KeepsFactors(const graph::Activation& activation) {
  return activation.kind == graph::ActivationKind::kNone ||
         activation.kind == graph::ActivationKind::kRelu ||
         activation.kind == graph::ActivationKind::kLeakyRelu;
}

/// What a group of tensors with the same factors makes of each of its channels.
struct Group {
  bool allowed = true;
  bool mixes = false;               ///< a reader sums over channels
  std::vector<float> sizes;         ///< by channel: the largest share of any tensor's range
  std::vector<float> weight_sizes;  ///< by channel: the largest share of any reader's weights
};

class Equalizer {
 public:
  Equalizer(const Graph& graph, const std::vector<TensorSummary>& summaries)
      : graph_(graph), groups_(graph.tensors.size()) {
    for (const Node& node : graph.nodes) JoinThrough(node);
    for (const auto* ports : {&graph.inputs, &graph.outputs}) {
      for (const graph::Port& port : *ports) GroupOf(port.tensor).allowed = false;
    }
    for (const Node& node : graph.nodes) Look(node, summaries);
  }

  Graph Apply() {
    Graph equal = graph_;
    for (Node& node : equal.nodes) {
      if (!IsLayer(node)) continue;
      const std::vector<float> by_input = FactorsOf(node.inputs[0]);
      const std::vector<float> by_output = FactorsOf(node.output);
      if (by_input.empty() && by_output.empty()) continue;
      auto source = std::make_shared<graph::WeightSource>(*node.source);
      if (!by_input.empty()) source->weight = Multiplied(node, by_input);
      if (!by_output.empty()) DivideOutputs(by_output, *source);
      node.source = std::move(source);
    }
    return equal;
  }

 private:
  bool IsLayer(const Node& node) const {
    return CanSumIntegers(graph_, node) && node.residual == graph::Residual::kNone;
  }
  Group& GroupOf(TensorIndex tensor) { return found_[groups_.RootOf(tensor)]; }

  /// Each channel of the output is one of every input's, whatever their common factor.
  bool Passes(const Node& node) const {
    return KeepsFactors(node.activation) &&
           (IsMaxPool(node) || IsNearestResize(node) || IsAddition(graph_, node));
  }

  void JoinThrough(const Node& node) {
    if (!Passes(node)) return;
    for (const TensorIndex input : node.inputs) groups_.Join(input, node.output);
  }

  void Look(const Node& node, const std::vector<TensorSummary>& summaries) {
    const bool layer = IsLayer(node);
    if (layer) {
      LookAtWeights(node, GroupOf(node.inputs[0]));
    } else if (!Passes(node)) {
      for (const TensorIndex input : node.inputs) GroupOf(input).allowed = false;
    }
    Group& made = GroupOf(node.output);
    const bool divides = layer && KeepsFactors(node.activation);
    if (!divides && !Passes(node)) made.allowed = false;
    Include(summaries[Position(node.output)].largest, made.sizes);
  }

  /// Makes `sizes` the larger of what it is and the shares that `values` have of their largest.
  static void Include(const std::vector<float>& values, std::vector<float>& sizes) {
    sizes.resize(values.size(), kShareMin);
    const float largest = *std::ranges::max_element(values);
    if (largest <= 0) return;
    for (size_t i = 0; i < values.size(); ++i) sizes[i] = std::max(sizes[i], values[i] / largest);
  }

  void LookAtWeights(const Node& node, Group& group) const {
    if (graph::IsDepthwise(graph_, node)) return;
    group.mixes = true;
    const LayerWeights weights(node);
    std::vector<float> by_input(graph_.shape(node.inputs[0]).Back(0));
    for (uint64_t channel = 0; channel < weights.channels(); ++channel) {
      std::ranges::fill(by_input, 0.0F);
      for (uint64_t i = 0; i < weights.count(); ++i) {
        float& size = by_input[weights.InputOf(channel, i)];
        size = std::max(size, std::abs(weights.Value(channel, i)));
      }
      Include(by_input, group.weight_sizes);
    }
  }

  /// What each channel is divided by; empty: nothing. Layers that sum over channels have one step
  /// for all of them, so that what the activations gain there the weights lose: halfway.
  std::vector<float> FactorsOf(TensorIndex tensor) {
    const Group& group = GroupOf(tensor);
    if (!group.allowed) return {};
    std::vector<float> factors = group.sizes;
    if (group.mixes) {
      for (size_t i = 0; i < factors.size(); ++i) {
        factors[i] = std::sqrt(group.sizes[i] / group.weight_sizes[i]);
      }
    }
    return factors;
  }

  static void DivideOutputs(const std::vector<float>& factors, graph::WeightSource& source) {
    source.scale.resize(factors.size(), 1.0F);
    source.bias.resize(factors.size(), 0.0F);
    for (size_t i = 0; i < factors.size(); ++i) {
      source.scale[i] /= factors[i];
      source.bias[i] /= factors[i];
    }
  }

  static std::shared_ptr<const graph::Constant> Multiplied(const Node& node,
                                                           const std::vector<float>& factors) {
    const LayerWeights weights(node);
    auto storage = std::make_shared<std::vector<float>>(weights.channels() * weights.count());
    for (uint64_t channel = 0; channel < weights.channels(); ++channel) {
      for (uint64_t i = 0; i < weights.count(); ++i) {
        (*storage)[weights.At(channel, i)] =
            weights.Value(channel, i) * factors[weights.InputOf(channel, i)];
      }
    }
    auto constant = std::make_shared<graph::Constant>(*node.source->weight);
    constant->bytes = std::as_bytes(std::span(*storage));
    constant->owner = storage;
    return constant;
  }

  const Graph& graph_;
  TensorGroups groups_;
  std::map<size_t, Group> found_;  ///< by root
};

}  // namespace

Graph EqualizeChannels(const Graph& graph, const std::vector<TensorSummary>& summaries) {
  return Equalizer(graph, summaries).Apply();
}

}  // namespace coracle::compile
