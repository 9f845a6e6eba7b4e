// Calibration: which values the tensors of a network take on the owner's own inputs.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "compile/value_range.h"
#include "graph/graph.h"
#include "vision/preprocess.h"

namespace coracle::compile {

/// Called after each piece of work, with how much of it is done.
using WorkProgress = std::function<void(uint64_t done, uint64_t total)>;

/// The files of a folder, one input of the network each.
class CalibrationInputs {
 public:
  /// `preprocess`: the model's specification (vision/preprocess.h), for images. Errors: as
  /// vision::ListInputFolder; kUnsupported for a network of several inputs.
  static Result<CalibrationInputs> Find(const std::string& folder, const std::string& preprocess,
                                        const graph::Graph& graph);

  size_t count() const { return files_.size(); }
  const std::string& path(size_t index) const { return files_.at(index); }
  /// The elements of one, as GraphRunner::Run takes them. Errors: as vision::ReadInputFile.
  Result<std::vector<std::vector<float>>> Read(size_t index) const;

 private:
  CalibrationInputs() = default;
  std::vector<std::string> files_;
  vision::Preprocess preprocess_;
  Shape shape_;
};

/// What calibration saw of one tensor.
struct TensorSummary {
  ValueRange range;
  std::vector<float> means;    ///< by channel: the last axis
  std::vector<float> largest;  ///< by channel: magnitudes
};

/// The values of one tensor over any number of predictions.
class TensorStatistics {
 public:
  /// Requires: a float32 tensor.
  explicit TensorStatistics(const graph::Tensor& tensor);

  /// The tensor's elements in one prediction. False if one of them is not finite.
  bool Add(Bytes elements);
  /// Requires: something was added.
  TensorSummary Summary(RangeMethod method) const;

 private:
  ValueHistogram histogram_;
  std::vector<double> sums_;    ///< by channel
  std::vector<float> largest_;  ///< by channel
};

/// Runs the float32 network over all inputs; by tensor. Requires: a verified kRows graph with
/// weights cut and sources attached. Errors: unreadable inputs; kUnsupported for a network that has
/// integers already; kInvalidArgument naming a tensor and the input for which it holds values that
/// are not finite.
Result<std::vector<TensorSummary>> Calibrate(const graph::Graph& graph,
                                             const CalibrationInputs& inputs, RangeMethod method,
                                             const WorkProgress& progress);

}  // namespace coracle::compile
