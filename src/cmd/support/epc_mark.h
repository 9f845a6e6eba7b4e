// NoteForEpcrun: tells epcrun, if this process runs under it, where a prediction begins and ends,
// so that its report (`marks`) says what each of them loaded.
#pragma once

#include <sys/prctl.h>

#include <cstdint>

#include "base/epc_mark.h"

namespace coracle::cmd {

enum class PredictionEdge : uint8_t { kBegin = 0, kEnd = 1 };

/// The mark's label is 2 * prediction, plus 1 at its end. Everywhere else nothing happens.
inline void NoteForEpcrun(uint64_t prediction, PredictionEdge edge) {
  (void)::prctl(kEpcMarkCall, 2 * prediction + static_cast<uint64_t>(edge), 0, 0, 0);
}

}  // namespace coracle::cmd
