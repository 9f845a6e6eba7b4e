// Advice for a program whose model Coracle can load: buffers are called by the model's layers, and
// what is advised is tried by planning and running the model.
#pragma once

#include <memory>

#include "base/result.h"
#include "cmd/characterize/model_profile.h"
#include "cmd/characterize/options.h"
#include "cmd/support/console.h"
#include "cmd/support/sealed_file.h"

namespace coracle::cmd {

class ModelAdvice {
 public:
  /// Opens options.model; one that is not sealed is sealed for the moment. To be made before a
  /// trace that may take long, so that what is wrong with the model is said at once.
  /// Requires: options.model. Errors: those of opening and sealing.
  static Result<std::unique_ptr<ModelAdvice>> Make(const CharacterizeOptions& options);

  /// Completes report["objects"] ("layer", "role") and report["advice"] ("planned": what Coracle's
  /// plan does about it; "checked"), and adds report["model"]. The plan is traced as the program
  /// was, with the same EPC sizes; where that cannot be done, report["model"]["not_checked"] says
  /// why. Errors: kOutOfBudget (of --memory).
  Status Complete(Json& report) const;

 private:
  explicit ModelAdvice(const CharacterizeOptions& options) : options_(options) {}

  CharacterizeOptions options_;
  OpenedArgument argument_;
  ModelProfile profile_;
  uint64_t file_bytes_ = 0;
};

}  // namespace coracle::cmd
