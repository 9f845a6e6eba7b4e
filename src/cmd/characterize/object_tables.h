// Tables of what was allocated and which functions used memory: parts of CharacterizationText().
#pragma once

#include <string>

#include "cmd/support/console.h"

namespace coracle::cmd {

// Each is empty where the findings hold nothing of it, or its program's allocations were not
// followed; loads are those at the smallest EPC size.

/// Single allocations of at least 4 KiB: those with most loads.
std::string ObjectTable(const Json& findings);
/// Allocations by where they were asked for.
std::string CallPathTable(const Json& findings);
std::string FunctionTable(const Json& findings);
/// Counts of allocations below 4 KiB by size, or why none was followed.
std::string SmallAllocations(const Json& findings);

}  // namespace coracle::cmd
