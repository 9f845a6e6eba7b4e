// A plan as JSON and back, for another process of this program: it runs the same, without planning.
#pragma once

#include "cmd/support/console.h"
#include "plan/plan.h"

namespace coracle::cmd {

/// All of it, exactly.
Json EncodePlan(const plan::Plan& plan);
/// What EncodePlan made. It is not checked: plan::Validate() does that.
/// Throws Json::exception if a field is missing or of another type: who reads the file catches it.
plan::Plan DecodePlan(const Json& json);

}  // namespace coracle::cmd
