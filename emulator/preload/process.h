// Process: all that the library keeps for the process it lives in, reached from signal handlers.
// Made once at the start (start.cc), in memory of its own; never taken down.
#pragma once

#include <atomic>
#include <cstdint>

#include "emulator/pager/fatal.h"
#include "emulator/pager/pager.h"
#include "emulator/pager/run_record.h"
#include "emulator/preload/signals.h"
#include "emulator/preload/thread_block.h"

namespace coracle::epc {

/// Environment variables as the process got them; an exec of the same process hands them on.
struct HandedOn {
  char preload[4096] = {};  ///< "LD_PRELOAD=..."
  char handover[64] = {};   ///< "EPCRUN_HANDOVER=PID:FD"
};

/// Remarks that are made once a process.
enum class Remark : uint32_t { kChild = 1, kDoesNotFit = 2, kPerhapsUnknown = 4 };

struct Process {
  Pager* pager = nullptr;
  RunRecord* record = nullptr;
  int record_fd = -1;
  bool inside = true;        ///< false in a forked child: it runs outside
  uintptr_t text_begin = 0;  ///< system calls made from here are not dispatched
  uint64_t text_bytes = 0;
  SignalActions actions;
  ThreadBlocks blocks;
  HandedOn handed_on;
  std::atomic<uint32_t> remarks{0};

  /// True the first time that it is asked for `remark`.
  bool FirstTime(Remark remark) {
    const auto bit = static_cast<uint32_t>(remark);
    return (remarks.fetch_or(bit) & bit) == 0;
  }
};

/// The one mutable global of the library: signal handlers have nothing else to start from.
extern Process* the_process;

/// Sends this thread's system calls to epcrun_on_system_call. False: the kernel cannot (Syscall
/// User Dispatch came with Linux 5.11).
bool DispatchSystemCalls(const Process& process);

/// Makes `block`'s stack the thread's alternate stack.
void UseAlternateStack(const ThreadBlock& block);

/// One line on stderr.
void Say(const Line& line);

}  // namespace coracle::epc
