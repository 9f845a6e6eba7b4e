// futex(2) and futex_waitv(2): the words stay present while their threads wait.
#pragma once

#include "emulator/preload/call.h"

namespace coracle::epc {

long DoFutex(Call& call);
long DoFutexWaitv(Call& call);

}  // namespace coracle::epc
