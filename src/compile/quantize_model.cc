#include "compile/quantize_model.h"

#include <map>
#include <utility>

#include "compile/equalize_channels.h"
#include "compile/graph_runner.h"
#include "compile/quantize_activations.h"
#include "compile/split_residuals.h"
#include "graph/verify.h"
#include "vision/difference.h"

namespace coracle::compile {
namespace {

using graph::Graph;
using graph::TensorIndex;

/// A tensor's values as float32.
std::vector<float> ValuesOf(Bytes elements, DType dtype, const graph::Quantization& quantization) {
  if (dtype == DType::kFloat32) {
    const auto* const floats = reinterpret_cast<const float*>(elements.data());
    return {floats, floats + elements.size() / sizeof(float)};
  }
  std::vector<float> values(elements.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const int code = std::to_integer<uint8_t>(elements[i]);
    values[i] = quantization.scale * static_cast<float>(code - quantization.zero);
  }
  return values;
}

/// Runs both networks over the same inputs and keeps the sums of their differences.
class Comparison {
 public:
  Comparison(const Graph& before, const QuantizedGraph& after)
      : before_(before), after_(after), layers_(after.layers.size()) {
    for (size_t i = 0; i < after.layers.size(); ++i) {
      by_before_[after.layers[i].before] = i;
      by_after_[after.layers[i].after] = i;
    }
    for (const graph::Port& port : before.outputs) {
      outputs_.emplace_back();
      tops_.emplace_back(port.shape);
    }
  }

  Status Run(const CalibrationInputs& inputs, const WorkProgress& progress) {
    TRY_ASSIGN(GraphRunner before, GraphRunner::Make(before_, kernels::SimdKernels()));
    TRY_ASSIGN(GraphRunner after, GraphRunner::Make(after_.graph, kernels::SimdKernels()));
    for (size_t i = 0; i < inputs.count(); ++i) {
      TRY_ASSIGN(const auto values, inputs.Read(i));
      TRY(before.Run(values, [this](TensorIndex tensor, Bytes elements) -> Status {
        const auto layer = by_before_.find(tensor);
        if (layer != by_before_.end()) {
          expected_[layer->second] = ValuesOf(elements, DType::kFloat32, {});
        }
        return {};
      }));
      TRY(after.Run(values, [this](TensorIndex tensor, Bytes elements) -> Status {
        const auto layer = by_after_.find(tensor);
        if (layer != by_after_.end()) CompareLayer(layer->second, elements);
        return {};
      }));
      CompareOutputs(before.Outputs(), after.Outputs());
      if (progress) progress(i + 1, inputs.count());
    }
    return {};
  }

  QuantizationReport Report(size_t input_count) const {
    QuantizationReport report;
    report.input_count = input_count;
    for (size_t i = 0; i < layers_.size(); ++i) {
      report.layers.push_back({after_.layers[i].name, layers_[i].RelativeRms()});
    }
    for (size_t i = 0; i < outputs_.size(); ++i) {
      report.outputs.push_back(
          {before_.outputs[i].name, outputs_[i].RelativeRms(), outputs_[i].RelativeLargest()});
    }
    if (tops_.front().applies()) {
      report.top_agreeing = tops_.front().agreeing();
      report.top_rows = tops_.front().rows();
    }
    return report;
  }

 private:
  void CompareLayer(size_t index, Bytes elements) {
    const IntegerLayer& layer = after_.layers[index];
    const DType dtype = after_.graph.tensor(layer.after).dtype;
    const std::vector<float> values = ValuesOf(elements, dtype, layer.quantization);
    layers_[index].Add(expected_[index], values);
    expected_.erase(index);
  }

  void CompareOutputs(const std::vector<std::vector<float>>& before,
                      const std::vector<std::vector<float>>& after) {
    for (size_t i = 0; i < before.size(); ++i) {
      outputs_[i].Add(before[i], after[i]);
      if (tops_[i].applies()) tops_[i].Add(before[i], after[i]);
    }
  }

  const Graph& before_;
  const QuantizedGraph& after_;
  std::map<TensorIndex, size_t> by_before_;  ///< layers by the tensor that they give
  std::map<TensorIndex, size_t> by_after_;
  std::map<size_t, std::vector<float>> expected_;  ///< by layer, until it is compared
  std::vector<vision::Difference> layers_;
  std::vector<vision::Difference> outputs_;
  std::vector<vision::TopAgreement> tops_;
};

}  // namespace

Result<QuantizationReport> QuantizeModel(CompiledModel& model, const QuantizeOptions& options,
                                         const WorkProgress& calibrating,
                                         const WorkProgress& comparing) {
  TRY_ASSIGN(const CalibrationInputs inputs,
             CalibrationInputs::Find(options.folder, options.preprocess, model.graph));
  const uint64_t total = 2 * inputs.count();
  const Graph split = SplitResiduals(model.graph);
  TRY_ASSIGN(std::vector<TensorSummary> summaries,
             Calibrate(split, inputs, options.ranges, [&](uint64_t done, uint64_t) {
               if (calibrating) calibrating(done, total);
             }));
  const Graph equal = EqualizeChannels(split, summaries);
  TRY_ASSIGN(summaries, Calibrate(equal, inputs, options.ranges, [&](uint64_t done, uint64_t) {
               if (calibrating) calibrating(inputs.count() + done, total);
             }));
  TRY_ASSIGN(QuantizedGraph quantized, QuantizeActivations(equal, summaries));
  TRY(graph::Verify(quantized.graph));
  CutWeights(quantized.graph);
  Comparison comparison(equal, quantized);
  TRY(comparison.Run(inputs, comparing));
  model.graph = std::move(quantized.graph);
  return comparison.Report(inputs.count());
}

}  // namespace coracle::compile
