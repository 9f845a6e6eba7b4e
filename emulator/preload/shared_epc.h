// The inside of a shared EPC: carries out what epcrun orders when this run's part changes.
//
// epcrun decides (epcrun/shared_epc.h) and writes the order into the RunRecord; the pages are here.
// A part that shrinks is given up by evicting before the order counts as done, so that nobody else
// has the room before it is free.
#pragma once

#include "emulator/pager/pager.h"
#include "emulator/pager/run_record.h"

namespace coracle::epc {

/// Waits for orders and carries them out, for as long as the process lives. For a thread of its own
/// with all signals blocked and a stack that is not the program's; calls no libc.
[[noreturn]] void SharedEpcLoop(Pager& pager, RunRecord& record);

}  // namespace coracle::epc
