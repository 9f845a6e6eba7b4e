// The findings of `coracle characterize` for people.
#pragma once

#include <string>

#include "cmd/support/console.h"

namespace coracle::cmd {

/// `findings` as characterize/findings.h has them, completed by the verb ("program", "exit_code",
/// "advice"). Every table has its units in its head.
std::string CharacterizationText(const Json& findings);

}  // namespace coracle::cmd
