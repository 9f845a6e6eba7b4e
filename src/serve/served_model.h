// ServedModel: what the scheduler knows of a model. sealed_model.h is the real one; tests have
// fakes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace coracle::serve {

/// One way to serve a model: up to `batch` inputs together, on up to `threads` workers, within
/// `bytes` of secure memory (pool and all else that a runner keeps).
struct PlanChoice {
  uint32_t batch = 1;
  uint32_t threads = 1;
  uint64_t bytes = 0;
  double predicted_ms = 0;  ///< of the whole convoy
};

/// Where a request writes its inputs, once its turn has come: elements [first, first +
/// values.size()) of graph input `input`, in the port's element order. Requires: in range, each
/// element once; whole, or row by row (runtime::ForEachRowPiece).
class InputSink {
 public:
  virtual ~InputSink() = default;
  virtual void Write(uint32_t input, uint64_t first, std::span<const float> values) = 0;
};

/// Where a request reads its outputs. Errors: kTampered (an output that was kept outside).
class OutputSource {
 public:
  virtual ~OutputSource() = default;
  virtual Status Read(uint32_t output, uint64_t first, std::span<float> values) const = 0;
  /// True if reading row by row (runtime::ForEachRowPiece) is much less work than in the port's
  /// order.
  virtual bool prefers_rows(uint32_t /*output*/) const { return false; }
};

/// A plan that holds its memory and is ready to run. One thread at a time: inputs are written, Run,
/// outputs are read, and again.
class Runner {
 public:
  virtual ~Runner() = default;
  /// Where input `index` of the convoy is written; valid until the runner goes. Requires: index <
  /// the choice's batch.
  virtual InputSink& input(uint32_t index) = 0;
  virtual const OutputSource& output(uint32_t index) const = 0;
  /// Runs the convoy. Inputs of places that no request takes, or whose request gave up half way,
  /// are zeros. Errors: kTampered, kUnavailable; then no output is readable.
  virtual Status Run() = 0;
};

class ServedModel {
 public:
  virtual ~ServedModel() = default;
  virtual const std::string& name() const = 0;
  /// The planner's Pareto front: of two choices, one is smaller, takes fewer inputs, takes fewer
  /// workers or is faster per input. Ascending bytes. Never empty.
  virtual std::span<const PlanChoice> choices() const = 0;
  /// Secure memory that the model takes while it is loaded, whether it runs or not (manifest,
  /// graph, plans).
  virtual uint64_t loaded_bytes() const = 0;
  /// Reserves `choices()[choice].bytes` at most. May be called by any thread.
  /// Errors: kUnavailable, kTampered.
  virtual Result<std::unique_ptr<Runner>> Start(uint32_t choice) = 0;
};

}  // namespace coracle::serve
