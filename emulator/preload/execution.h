// execve: the program becomes another one.
//
// The arguments are copied to memory of our own first, string by string, so that however long they
// are they need not be present at once. In the process that epcrun started, the next program runs
// inside as well: the record and the preloaded library are handed on, whatever environment the
// program chose for it. In a child they are left as they are: it stays outside.
#pragma once

#include "emulator/preload/call.h"

namespace coracle::epc {

/// execve, execveat. Returns only if it failed.
long DoExecute(Call& call);

/// Unmaps the copy that a child made which shares our memory: it is another program now, or gone.
/// Requires: block.exec_copy != 0.
void ReleaseExecCopy(ThreadBlock& block);

}  // namespace coracle::epc
