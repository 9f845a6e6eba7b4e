// Prediction: a sealed model planned for a budget and ready to run, for `run` and `bench`.
#pragma once

#include <memory>
#include <string>

#include "api/posix_outside.h"
#include "base/result.h"
#include "cmd/support/sealed_file.h"
#include "plan/plan.h"
#include "runtime/session.h"

namespace coracle::cmd {

/// What the process used besides what the session counts itself.
struct Measured {
  runtime::RunStats stats;
  uint64_t heap_peak_bytes = 0;
  bool heap_known = true;  ///< false under a sanitizer
  double latency_ms = 0;   ///< of all inputs of the convoy
};

class Prediction {
 public:
  /// Errors: kOutOfBudget before anything runs, naming needed and available bytes and the layer.
  static Result<std::unique_ptr<Prediction>> Make(const OpenedModel& opened,
                                                  const plan::PlanRequest& request);
  /// The same for a plan that has been made. `observer` must outlive the prediction; null: none.
  static Result<std::unique_ptr<Prediction>> Make(const OpenedModel& opened, plan::Plan plan,
                                                  runtime::RunObserver* observer = nullptr);

  /// Writes every input: the same noise each time.
  Status FillWithNoise();
  runtime::Session& session() { return *session_; }
  /// One run, timed and metered.
  Result<Measured> Run();

 private:
  Prediction() = default;
  std::string path_;
  const graph::Graph* graph_ = nullptr;
  PosixOutside outside_;
  std::unique_ptr<runtime::Session> session_;
};

}  // namespace coracle::cmd
