#include "emulator/preload/futex_calls.h"

#include <linux/futex.h>

#include <cerrno>

#include "emulator/preload/holding.h"
#include "emulator/preload/program_memory.h"

namespace coracle::epc {

long DoFutex(Call& call) {
  const int operation = static_cast<int>(call.arguments[1]) & FUTEX_CMD_MASK;
  const bool is_private = (call.arguments[1] & FUTEX_PRIVATE_FLAG) != 0;
  const bool wakes = operation == FUTEX_WAKE || operation == FUTEX_WAKE_BITSET;
  // A wake-up by address alone: the kernel looks at no memory.
  if (wakes && is_private) return Perform(call, call.arguments, During::kBlocked);
  HeldArguments held(call);
  HoldOutcome outcome = held.Bytes(call.address(0), sizeof(uint32_t));
  const bool waits = operation == FUTEX_WAIT || operation == FUTEX_LOCK_PI ||
                     operation == FUTEX_WAIT_BITSET || operation == FUTEX_WAIT_REQUEUE_PI ||
                     operation == FUTEX_LOCK_PI2;
  if (waits && outcome == HoldOutcome::kHeld) outcome = held.Bytes(call.address(3), 16);
  const bool has_second = operation == FUTEX_REQUEUE || operation == FUTEX_CMP_REQUEUE ||
                          operation == FUTEX_WAKE_OP || operation == FUTEX_WAIT_REQUEUE_PI ||
                          operation == FUTEX_CMP_REQUEUE_PI;
  if (has_second && outcome == HoldOutcome::kHeld) outcome = held.Bytes(call.address(4), 4);
  return PerformHeld(call, held, outcome);
}

long DoFutexWaitv(Call& call) {
  struct Waiter {  // struct futex_waitv
    uint64_t value, address;
    uint32_t flags, reserved;
  };
  HeldArguments held(call);
  const uint64_t count = call.address(1) & UINT32_MAX;
  if (count > 128) return -EINVAL;  // FUTEX_WAITV_MAX
  HoldOutcome outcome = held.Bytes(call.address(0), count * sizeof(Waiter));
  for (uint64_t i = 0; i < count && outcome == HoldOutcome::kHeld; ++i) {
    Waiter waiter;
    if (!PeekValue(call.address(0) + i * sizeof waiter, waiter)) return -EFAULT;
    outcome = held.Bytes(waiter.address, sizeof(uint64_t));
  }
  if (outcome == HoldOutcome::kHeld) outcome = held.Bytes(call.address(3), 16);
  return PerformHeld(call, held, outcome);
}

}  // namespace coracle::epc
