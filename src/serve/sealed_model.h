// SealedServedModel: a sealed file as the scheduler sees it, its front of plans over budgets,
// convoy sizes and threads.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "seal/reader.h"
#include "serve/plan_front.h"
#include "serve/served_model.h"

namespace coracle::serve {

/// Plans the front (a second or less for usual networks), on this machine's best kernels. `model`
/// outlives what is returned, which outlives its runners. A runner is a session of a copy of one
/// plan: PlanChoice::bytes are its pool, its tables and its workers' stacks (secure_bytes.h), and
/// loaded_bytes() the manifest and the front. Rows that a plan keeps sealed in host memory are not
/// secure memory and are not counted.
/// Errors: kOutOfBudget, naming needed and available bytes; as PlanFront().
Result<std::unique_ptr<ServedModel>> ServeSealedModel(std::string name,
                                                      const seal::SealedModel& model,
                                                      const FrontSettings& settings);

}  // namespace coracle::serve
