// SealedServedModel: a sealed file as the scheduler sees it, its front of plans over budgets,
// convoy sizes and threads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "plan/plan.h"
#include "seal/reader.h"
#include "serve/served_model.h"

namespace coracle::serve {

struct FrontSettings {
  uint64_t budget_bytes = 0;   ///< no choice is larger
  uint32_t threads_max = 1;
  uint32_t batch_max = 16;     ///< 1 where the network mixes inputs
  plan::MachineRates rates;
};

/// Plans the front (a second or less for usual networks). `model` outlives what is returned.
/// Errors: kOutOfBudget, naming needed and available bytes.
Result<std::unique_ptr<ServedModel>> ServeSealedModel(std::string name,
                                                      const seal::SealedModel& model,
                                                      const FrontSettings& settings);

}  // namespace coracle::serve
