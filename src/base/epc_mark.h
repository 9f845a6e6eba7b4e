// The mark that a program sets under epcrun, and that whoever traces it understands.
#pragma once

namespace coracle {

/// prctl(kEpcMarkCall, label): epcrun notes its counters at that moment under the label (docs/
/// epcrun.md); EINVAL everywhere else. So a benchmark can tell the loads of one prediction from
/// those of its start.
inline constexpr int kEpcMarkCall = 0x45504352;  // "EPCR"

}  // namespace coracle
