// Layers with a state: rnn, gru, lstm. Imported is what Darknet's network_predict computes first:
// one step from a state of zeros. Darknet then keeps the state for the next call; a sealed model
// does not.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "graph/verify.h"
#include "import/darknet/network.h"

namespace coracle::import {

using graph::Activation;
using graph::ActivationKind;
using graph::BinaryKind;
using graph::TensorIndex;

namespace {

constexpr Activation kNoActivation = {};
constexpr Activation kSigmoid = {.kind = ActivationKind::kSigmoid};
constexpr Activation kTanh = {.kind = ActivationKind::kTanh};

/// Reads a layer's connected parts in the order of its file and puts them together.
class Recurrent {
 public:
  static Result<Recurrent> Begin(DarknetNetwork& network, const DarknetLayer& layer) {
    const uint64_t inputs = network.builder.shape(layer.input).Elements();
    if (inputs > graph::kMaxDimension) return layer.section.Unsupported("its input is too large");
    if (network.time_steps != 1) {
      return layer.section.Unsupported("only [net] with time_steps=1 is supported");
    }
    Recurrent recurrent(network, layer, static_cast<uint32_t>(inputs));
    TRY_ASSIGN(recurrent.outputs_, layer.section.Count("output", 1, 1, graph::kMaxDimension));
    TRY_ASSIGN(const uint32_t normalize, layer.section.Count("batch_normalize", 0, 0, 1));
    recurrent.normalized_ = normalize != 0;
    TRY_ASSIGN(recurrent.x_,
               network.builder.Reshape(layer.name + "/flat", layer.input, {1, recurrent.inputs_}));
    return recurrent;
  }

  TensorIndex x() const { return x_; }

  Result<ConnectedPart> OfInput(std::string_view what) { return Read(what, inputs_); }
  Result<ConnectedPart> OfState(std::string_view what) { return Read(what, outputs_); }

  /// activation(W x + b + more), `more` being what a part gives for a state of zeros.
  LayerResult Apply(std::string_view what, ConnectedPart part, TensorIndex x,
                    const std::vector<float>& more, Activation activation) {
    if (part.source != nullptr) {
      if (part.source->bias.empty()) part.source->bias.resize(outputs_);
      for (size_t i = 0; i < more.size(); ++i) part.source->bias[i] += more[i];
    }
    return network_.builder.Emit(Name(what), {.attrs = graph::Dense{outputs_},
                                              .inputs = {x},
                                              .activation = activation,
                                              .source = part.source});
  }

  LayerResult Multiply(std::string_view what, TensorIndex a, TensorIndex b) {
    return network_.builder.Combine(Name(what), BinaryKind::kMul, a, b);
  }
  LayerResult Activate(std::string_view what, TensorIndex x, Activation activation) {
    return network_.builder.Activate(Name(what), x, activation);
  }
  std::string Name(std::string_view what) const { return fmt::format("{}/{}", layer_.name, what); }
  uint32_t outputs() const { return outputs_; }

  LayerResult AsPlane(TensorIndex y) {
    return network_.builder.Reshape(Name("plane"), y, {1, outputs_, 1, 1});
  }

 private:
  Recurrent(DarknetNetwork& network, const DarknetLayer& layer, uint32_t inputs)
      : network_(network), layer_(layer), inputs_(inputs) {}

  Result<ConnectedPart> Read(std::string_view what, uint32_t inputs) {
    return ReadConnectedPart(network_.weights, Name(what), inputs, outputs_, normalized_);
  }

  DarknetNetwork& network_;
  const DarknetLayer& layer_;
  uint32_t inputs_;
  uint32_t outputs_ = 0;
  bool normalized_ = false;
  TensorIndex x_{};
};

/// The functions that networks of rnn layers use, on values that are known now.
Status ActivateValues(const CfgSection& section, const Activation& activation,
                      std::vector<float>& values) {
  for (float& x : values) {
    switch (activation.kind) {
      case ActivationKind::kNone:
        break;
      case ActivationKind::kRelu:
        x = std::max(x, 0.0F);
        break;
      case ActivationKind::kLeakyRelu:
        x = x > 0 ? x : activation.a * x;
        break;
      case ActivationKind::kSigmoid:
        x = static_cast<float>(1 / (1 + std::exp(-double{x})));
        break;
      case ActivationKind::kTanh:
        x = static_cast<float>(std::tanh(double{x}));
        break;
      default:
        return section.Unsupported("its activation is not supported");
    }
  }
  return {};
}

}  // namespace

// rnn_layer.c: state = f(input(x)) + f(self(state)); f(output(state)).
LayerResult AddRnn(DarknetNetwork& network, const DarknetLayer& layer) {
  TRY_ASSIGN(const DarknetActivation activation, ReadActivation(layer.section, "logistic"));
  if (activation.gain != 1) return layer.section.Unsupported("its activation is not supported");
  TRY_ASSIGN(Recurrent cell, Recurrent::Begin(network, layer));
  TRY_ASSIGN(const ConnectedPart input, cell.OfInput("input"));
  TRY_ASSIGN(const ConnectedPart self, cell.OfState("self"));
  TRY_ASSIGN(const ConnectedPart output, cell.OfState("output"));
  TRY_ASSIGN(const TensorIndex ours,
             cell.Apply("input", input, cell.x(), {}, activation.activation));
  // f(self(0)) is the same for every input: the state's own share of it.
  std::vector<float> constant = self.AtZero();
  constant.resize(cell.outputs());
  TRY(ActivateValues(layer.section, activation.activation, constant));
  TRY_ASSIGN(const TensorIndex state,
             network.builder.Affine(cell.Name("state"), ours, std::vector<float>(cell.outputs(), 1),
                                    std::move(constant)));
  TRY_ASSIGN(const TensorIndex y, cell.Apply("output", output, state, {}, activation.activation));
  return cell.AsPlane(y);
}

// gru_layer.c: z, r of x and state; h = f(uh(x) + wh(r state)); z state + (1 - z) h.
LayerResult AddGru(DarknetNetwork& network, const DarknetLayer& layer) {
  TRY_ASSIGN(const uint32_t tanh, layer.section.Count("tanh", 0, 0, 1));
  TRY_ASSIGN(Recurrent cell, Recurrent::Begin(network, layer));
  TRY_ASSIGN(const ConnectedPart wz, cell.OfState("wz"));
  TRY(cell.OfState("wr"));
  TRY_ASSIGN(const ConnectedPart wh, cell.OfState("wh"));
  TRY_ASSIGN(const ConnectedPart uz, cell.OfInput("uz"));
  TRY(cell.OfInput("ur"));
  TRY_ASSIGN(const ConnectedPart uh, cell.OfInput("uh"));
  TRY_ASSIGN(TensorIndex z, cell.Apply("z", uz, cell.x(), wz.AtZero(), kNoActivation));
  // 1 - sigmoid(z) = sigmoid(-z)
  TRY_ASSIGN(z, cell.Activate("-z", z, {.kind = ActivationKind::kNeg}));
  TRY_ASSIGN(z, cell.Activate("1-z", z, kSigmoid));
  TRY_ASSIGN(const TensorIndex h,
             cell.Apply("h", uh, cell.x(), wh.AtZero(), tanh != 0 ? kTanh : kSigmoid));
  TRY_ASSIGN(const TensorIndex y, cell.Multiply("y", z, h));
  return cell.AsPlane(y);
}

// lstm_layer.c: f, i, o, g of x and h; c = f c + i g; o tanh(c).
LayerResult AddLstm(DarknetNetwork& network, const DarknetLayer& layer) {
  TRY_ASSIGN(Recurrent cell, Recurrent::Begin(network, layer));
  TRY_ASSIGN(const ConnectedPart wi, cell.OfState("wi"));
  TRY(cell.OfState("wf"));
  TRY_ASSIGN(const ConnectedPart wo, cell.OfState("wo"));
  TRY_ASSIGN(const ConnectedPart wg, cell.OfState("wg"));
  TRY_ASSIGN(const ConnectedPart ui, cell.OfInput("ui"));
  TRY(cell.OfInput("uf"));
  TRY_ASSIGN(const ConnectedPart uo, cell.OfInput("uo"));
  TRY_ASSIGN(const ConnectedPart ug, cell.OfInput("ug"));
  TRY_ASSIGN(const TensorIndex i, cell.Apply("i", ui, cell.x(), wi.AtZero(), kSigmoid));
  TRY_ASSIGN(const TensorIndex o, cell.Apply("o", uo, cell.x(), wo.AtZero(), kSigmoid));
  TRY_ASSIGN(const TensorIndex g, cell.Apply("g", ug, cell.x(), wg.AtZero(), kTanh));
  TRY_ASSIGN(TensorIndex c, cell.Multiply("c", i, g));
  TRY_ASSIGN(c, cell.Activate("tanh_c", c, kTanh));
  TRY_ASSIGN(const TensorIndex y, cell.Multiply("y", o, c));
  return cell.AsPlane(y);
}

}  // namespace coracle::import
