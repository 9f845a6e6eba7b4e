#include "compile/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "compile/graph_runner.h"
#include "vision/input_folder.h"

namespace coracle::compile {

TensorStatistics::TensorStatistics(const graph::Tensor& tensor)
    : sums_(tensor.shape.rank() == 0 ? 1 : tensor.shape.Back(0)), largest_(sums_.size()) {
  CORACLE_CHECK(tensor.dtype == DType::kFloat32);
}

bool TensorStatistics::Add(Bytes elements) {
  const std::span<const float> values(reinterpret_cast<const float*>(elements.data()),
                                      elements.size() / sizeof(float));
  for (size_t first = 0; first < values.size(); first += sums_.size()) {
    for (size_t channel = 0; channel < sums_.size(); ++channel) {
      const float value = values[first + channel];
      sums_[channel] += value;
      largest_[channel] = std::max(largest_[channel], std::abs(value));
    }
  }
  return histogram_.Add(values);
}

TensorSummary TensorStatistics::Summary(RangeMethod method) const {
  TensorSummary summary{ChooseRange(histogram_, method), {}, largest_};
  const double count = static_cast<double>(histogram_.count()) / static_cast<double>(sums_.size());
  for (const double sum : sums_) summary.means.push_back(static_cast<float>(sum / count));
  return summary;
}

Result<CalibrationInputs> CalibrationInputs::Find(const std::string& folder,
                                                  const std::string& preprocess,
                                                  const graph::Graph& graph) {
  if (graph.inputs.size() != 1) {
    return Error{Code::kUnsupported,
                 fmt::format("{}: the model has {} inputs; one file an input needs a model of one",
                             folder, graph.inputs.size())};
  }
  CalibrationInputs inputs;
  TRY_ASSIGN(inputs.files_, vision::ListInputFolder(folder));
  TRY_ASSIGN(inputs.preprocess_, vision::Preprocess::Parse(preprocess));
  inputs.shape_ = graph.inputs[0].shape;
  return inputs;
}

Result<std::vector<std::vector<float>>> CalibrationInputs::Read(size_t index) const {
  TRY_ASSIGN(std::vector<float> values,
             vision::ReadInputFile(files_.at(index), preprocess_, shape_));
  std::vector<std::vector<float>> inputs;
  inputs.push_back(std::move(values));
  return inputs;
}

Result<std::vector<TensorSummary>> Calibrate(const graph::Graph& graph,
                                             const CalibrationInputs& inputs, RangeMethod method,
                                             const WorkProgress& progress) {
  TRY_ASSIGN(GraphRunner runner, GraphRunner::Make(graph, kernels::SimdKernels()));
  std::vector<TensorStatistics> seen;
  for (const graph::Tensor& tensor : graph.tensors) {
    if (tensor.dtype == DType::kFloat32) continue;
    return Error{Code::kUnsupported,
                 fmt::format("the model computes on integers already ('{}'); calibration takes a "
                             "float32 one",
                             tensor.name)};
  }
  for (const graph::Tensor& tensor : graph.tensors) seen.emplace_back(tensor);
  for (size_t i = 0; i < inputs.count(); ++i) {
    TRY_ASSIGN(const auto values, inputs.Read(i));
    TRY(runner.Run(values, [&](graph::TensorIndex tensor, Bytes elements) -> Status {
      if (seen[Position(tensor)].Add(elements)) return {};
      return Error{Code::kInvalidArgument,
                   fmt::format("{}: gives values that are not finite in '{}'", inputs.path(i),
                               graph.tensor(tensor).name)};
    }));
    if (progress) progress(i + 1, inputs.count());
  }
  std::vector<TensorSummary> summaries;
  summaries.reserve(seen.size());
  for (const TensorStatistics& tensor : seen) summaries.push_back(tensor.Summary(method));
  return summaries;
}

}  // namespace coracle::compile
