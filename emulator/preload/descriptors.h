// Keeps the program from closing or replacing the descriptors that this library needs: the run's
// record and the pager's. To the program they look as if they were not open.
#pragma once

#include "emulator/preload/call.h"

namespace coracle::epc {

/// close, close_range, dup2, dup3.
long DoDescriptorCall(Call& call);

}  // namespace coracle::epc
