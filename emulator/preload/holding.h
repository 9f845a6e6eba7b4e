// Holds what the arguments of a system call lead to, as its line in the table says.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include "emulator/preload/call.h"

namespace coracle::epc {

class HeldArguments {
 public:
  explicit HeldArguments(Call& call)
      : call_(call), holds_(call.block, *call.process.pager, call.frame()) {}

  /// Holds all that `entry` lists. Arguments that are passed as copies are replaced in arguments().
  HoldOutcome HoldAll(const SystemCall& entry);
  /// All but argument `except`.
  HoldOutcome HoldAllBut(const SystemCall& entry, int except);
  /// One more range.
  HoldOutcome Bytes(uintptr_t begin, uint64_t bytes) { return holds_.Bytes(begin, bytes); }
  HoldOutcome String(uintptr_t begin) { return holds_.String(begin, kStringBytesMax); }

  /// struct sock_fprog and the filter that it points to.
  HoldOutcome Filter(uintptr_t program);

  long (&arguments())[6] { return arguments_; }
  /// kBlocked if the call itself sets the mask while it waits.
  During during() const { return sets_mask_ ? During::kBlocked : During::kProgramMask; }

  static constexpr uint64_t kStringBytesMax = 4096;  // PATH_MAX
  static constexpr uint64_t kUnknownBytes = 4096;

 private:
  HoldOutcome One(const Argument& argument, int index);
  HoldOutcome Vectors(uintptr_t vectors, uint64_t count);
  HoldOutcome Message(uintptr_t message);
  HoldOutcome Messages(uintptr_t messages, uint64_t count);
  HoldOutcome CopySet(int index);
  HoldOutcome CopyMaskAt(int index);

  struct MaskAt {
    uintptr_t set = 0;
    uint64_t bytes = 0;
  };

  Call& call_;
  CallHolds holds_;
  long arguments_[6] = {call_.arguments[0], call_.arguments[1], call_.arguments[2],
                        call_.arguments[3], call_.arguments[4], call_.arguments[5]};
  bool sets_mask_ = false;
  SignalSet set_ = 0;
  MaskAt mask_at_;
};

/// A hold that was refused, as the program sees it: EFAULT where the kernel would say so, else
/// ENOMEM and, once a process, a line that names the call.
long RefusedHold(const Call& call, HoldOutcome outcome);

/// The call as its line in the table says: holds all that it lists, and performs it.
long HoldAndPerform(Call& call, HeldArguments& held, const SystemCall& entry);

/// Performs the call with what is held so far, of which `outcome` was the last.
long PerformHeld(const Call& call, HeldArguments& held, HoldOutcome outcome);

/// Performs a call whose reach is a guess: says so, once, if the kernel misses memory.
long PerformUncertain(const Call& call, HeldArguments& held);

}  // namespace coracle::epc
