// A plan's pool over its steps, drawn with characters: what `coracle plan` shows in a terminal.
#pragma once

#include <string>

#include "cmd/support/console.h"

namespace coracle::cmd {

/// Addresses upwards, steps to the right, at most `columns` wide (and never narrower than 40). A
/// character is the kind of buffer that fills most of its cell, '.' is memory that nothing uses
/// then; where there are more steps than columns a cell covers several. Below: the steps' numbers,
/// where the peak is, and what the characters mean. Takes the object that `coracle plan --json`
/// prints, with its `buffers`. Empty without steps or buffers.
std::string PlanTimeline(const Json& plan, int columns);

}  // namespace coracle::cmd
