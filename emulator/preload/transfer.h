// Reads and writes of buffers that may be larger than what fits the EPC at once: done in pieces.
//
// A file is read to the end of the buffer, a descriptor is written until it takes no more; a stream
// is read once (a short read is always legal there). Datagrams cannot be cut: all of one is held,
// or it is refused.
#pragma once

#include "emulator/preload/call.h"

namespace coracle::epc {

/// Treatment::kIn, kOut: (descriptor, buffer, bytes, offset or flags, ...).
long TransferBuffer(Call& call, const SystemCall& entry);
/// Treatment::kShorten: the buffer of the entry that is as long as another argument says.
long TransferShortened(Call& call, const SystemCall& entry);
/// Treatment::kVectorsIn, kVectorsOut: (descriptor, iovec, count, offset, ...).
long TransferVectors(Call& call, const SystemCall& entry);
/// sendmsg, recvmsg: (descriptor, message, flags).
long TransferMessage(Call& call, const SystemCall& entry);

}  // namespace coracle::epc
