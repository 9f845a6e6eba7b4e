// The advice of `coracle characterize` for people, and the model that it was checked with: parts of
// CharacterizationText().
#pragma once

#include <string>

#include "cmd/support/console.h"

namespace coracle::cmd {

/// findings.model: what Coracle needs for it, and how much of it was recognized in the program's
/// memory. Empty where no model was given.
std::string ModelText(const Json& findings);

/// findings.advice, each with its number, its effect, what Coracle's plan does about it and what
/// became of that when it was run. Empty where there is none.
std::string AdviceText(const Json& findings);

}  // namespace coracle::cmd
