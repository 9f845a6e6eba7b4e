// PlannedText: what is said about Coracle's plan beside each advice, and once the plan was traced.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "characterize/advice/advice.h"
#include "cmd/characterize/model_profile.h"
#include "cmd/characterize/planned_model.h"
#include "cmd/support/console.h"

namespace coracle::cmd {

class PlannedText {
 public:
  /// `report`: the program's, with roles. All must outlive it.
  PlannedText(const ModelProfile& profile, const PlannedModel& planned, const Json& report)
      : profile_(profile), planned_(planned), report_(report) {}

  /// What the plan has in place of the buffers of `advice`; empty where that is not known.
  std::string About(const characterize::Advice& advice) const;

  /// The advice to plan the model: {"what", "number", "effect", "checked": null}.
  Json PlanAdvice() const;

  /// {"before", "after", "text"} of that advice: knee and page loads by EPC size of the program and
  /// of one prediction with the plan, whose findings `after` are; its pool is `pool_bytes`.
  Json CheckedPlan(const Json& after, uint64_t pool_bytes) const;
  /// The same of single buffers: what they loaded, and what the whole plan loads.
  Json CheckedBuffers(const characterize::Advice& advice, const Json& after) const;

 private:
  /// What the advice's buffers have in common; empty: nothing that is known.
  std::string RoleOf(const characterize::Advice& advice) const;
  /// The layers that they belong to, each once.
  std::vector<const LayerProfile*> LayersOf(const characterize::Advice& advice) const;
  std::string AboutOutputs(const std::vector<const LayerProfile*>& layers) const;
  std::string AboutWeights(const std::vector<const LayerProfile*>& layers) const;
  std::string AboutIm2col() const;

  const ModelProfile& profile_;
  const PlannedModel& planned_;
  const Json& report_;
};

}  // namespace coracle::cmd
