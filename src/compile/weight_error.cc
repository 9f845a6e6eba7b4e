#include "compile/weight_error.h"

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "compile/graph_runner.h"
#include "vision/difference.h"

namespace coracle::compile {
namespace {

using graph::Graph;

/// By input, then by graph output.
using AllOutputs = std::vector<std::vector<std::vector<float>>>;

/// Networks with some of the quantised layers, run over the same inputs.
class ErrorMeter {
 public:
  ErrorMeter(const CompiledModel& model, const CalibrationInputs& inputs,
             const WorkProgress& progress)
      : model_(model), inputs_(inputs), progress_(progress) {
    // The float32 network, all layers, and one for each halving.
    const size_t halvings = std::bit_width(model.quantized.size());
    total_ = (2 + halvings) * inputs.count();
  }

  Status Start() {
    TRY_ASSIGN(expected_, Outputs(WithLayers(0)));
    return {};
  }

  /// The network whose first `count` layers are quantised.
  Graph WithLayers(size_t count) const {
    Graph graph = model_.graph;
    for (size_t i = count; i < model_.quantized.size(); ++i) {
      passes::Unquantize(graph, model_.quantized[i]);
    }
    CutWeights(graph);
    return graph;
  }

  Result<double> Error(size_t count) {
    TRY_ASSIGN(const AllOutputs outputs, Outputs(WithLayers(count)));
    double worst = 0;
    for (size_t port = 0; port < model_.graph.outputs.size(); ++port) {
      vision::Difference difference;
      for (size_t i = 0; i < outputs.size(); ++i) {
        difference.Add(expected_[i][port], outputs[i][port]);
      }
      worst = std::max(worst, difference.RelativeRms());
    }
    return worst;
  }

 private:
  Result<AllOutputs> Outputs(const Graph& graph) {
    TRY_ASSIGN(GraphRunner runner, GraphRunner::Make(graph, kernels::SimdKernels()));
    AllOutputs outputs;
    for (size_t i = 0; i < inputs_.count(); ++i) {
      TRY_ASSIGN(const auto values, inputs_.Read(i));
      TRY(runner.Run(values, [](graph::TensorIndex, Bytes) -> Status { return {}; }));
      outputs.push_back(runner.Outputs());
      if (progress_) progress_(++done_, total_);
    }
    return outputs;
  }

  const CompiledModel& model_;
  const CalibrationInputs& inputs_;
  const WorkProgress& progress_;
  AllOutputs expected_;
  uint64_t done_ = 0, total_ = 0;
};

}  // namespace

Result<double> KeepWithinError(CompiledModel& model, double error_max, const std::string& folder,
                               const std::string& preprocess, const WorkProgress& progress) {
  TRY_ASSIGN(const CalibrationInputs inputs,
             CalibrationInputs::Find(folder, preprocess, model.graph));
  ErrorMeter meter(model, inputs, progress);
  TRY(meter.Start());
  size_t kept = model.quantized.size();
  TRY_ASSIGN(double error, meter.Error(kept));
  if (error > error_max) {
    // `kept` layers are within, `beyond` are not.
    size_t beyond = std::exchange(kept, 0);
    error = 0;
    while (beyond - kept > 1) {
      const size_t middle = (kept + beyond) / 2;
      TRY_ASSIGN(const double found, meter.Error(middle));
      if (found > error_max) {
        beyond = middle;
      } else {
        kept = middle;
        error = found;
      }
    }
  }
  model.graph = meter.WithLayers(kept);
  model.quantized.resize(kept);
  return error;
}

}  // namespace coracle::compile
