#include "emulator/preload/descriptors.h"

#include <sys/syscall.h>

#include <cerrno>

#include "emulator/preload/raw_call.h"

namespace coracle::epc {
namespace {

bool IsOurs(const Call& call, long descriptor) {
  const int number = static_cast<int>(descriptor);
  return number == call.process.record_fd || call.process.pager->OwnsDescriptor(number);
}

/// Ours are below this: the pager's and the record's are the lowest free ones from 200 or 100 on.
constexpr uint32_t kOursEnd = 1U << 16;

/// All of the range, in the parts that lie between ours.
long CloseRange(const Call& call) {
  const auto first = static_cast<uint32_t>(call.arguments[0]);
  const auto last = static_cast<uint32_t>(call.arguments[1]);
  if (first > last) return -EINVAL;
  uint32_t begin = first;
  for (uint32_t fd = first; fd <= last && fd < kOursEnd; ++fd) {
    if (!IsOurs(call, fd)) continue;
    if (fd > begin) AskKernel(SYS_close_range, begin, fd - 1, call.arguments[2]);
    begin = fd + 1;
  }
  return begin > last ? 0 : AskKernel(SYS_close_range, begin, last, call.arguments[2]);
}

}  // namespace

long DoDescriptorCall(Call& call) {
  if (call.number == SYS_close_range) return CloseRange(call);
  const bool replaces = call.number != SYS_close;
  if (IsOurs(call, call.arguments[0])) return -EBADF;
  if (replaces && IsOurs(call, call.arguments[1])) return -EBADF;
  return Perform(call, call.arguments, During::kProgramMask);
}

}  // namespace coracle::epc
