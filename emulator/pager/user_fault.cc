#include "emulator/pager/user_fault.h"

#include <errno.h>
#include <fcntl.h>

#include "emulator/pager/move_pages_abi.h"
#include "emulator/pager/raw_syscall.h"

namespace coracle::epc {
namespace {

long OpenWith(uint64_t features, int& descriptor) {
  const long opened = RawCall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
  if (IsError(opened)) return opened;
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = features;
  const long agreed = RawCall(SYS_ioctl, opened, UFFDIO_API, AsLong(&api));
  if (IsError(agreed)) {
    RawCall(SYS_close, opened);
    return agreed;
  }
  descriptor = RaiseDescriptor(static_cast<int>(opened));
  return 0;
}

}  // namespace

int RaiseDescriptor(int descriptor) {
  // Programs count on low numbers. Much higher ones would make the kernel's table of them large,
  // and each fork copies it.
  for (const int least : {900, 200}) {
    const long raised = RawCall(SYS_fcntl, descriptor, F_DUPFD_CLOEXEC, least);
    if (IsError(raised)) continue;
    RawCall(SYS_close, descriptor);
    return static_cast<int>(raised);
  }
  return descriptor;
}

long UserFault::Open() {
  constexpr uint64_t kFeatures = UFFD_FEATURE_SIGBUS | UFFD_FEATURE_PAGEFAULT_FLAG_WP;
  has_move_ = true;
  if (OpenWith(kFeatures | kFeatureMove, descriptor_) == 0) return 0;
  has_move_ = false;
  return OpenWith(kFeatures, descriptor_);
}

void UserFault::Close() {
  if (descriptor_ >= 0) RawCall(SYS_close, descriptor_);
  descriptor_ = -1;
}

long UserFault::Register(Range range) const {
  uffdio_register request{};
  request.range = {range.begin, range.end - range.begin};
  request.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP;
  const long result = RawCall(SYS_ioctl, descriptor_, UFFDIO_REGISTER, AsLong(&request));
  return IsError(result) ? result : 0;
}

long UserFault::Unregister(Range range) const {
  uffdio_range request{range.begin, range.end - range.begin};
  const long result = RawCall(SYS_ioctl, descriptor_, UFFDIO_UNREGISTER, AsLong(&request));
  return IsError(result) ? result : 0;
}

long UserFault::Copy(uintptr_t to, const void* from, uint64_t bytes, uint64_t& done) const {
  done = 0;
  while (done < bytes) {
    uffdio_copy request{};
    request.dst = to + done;
    request.src = reinterpret_cast<uintptr_t>(from) + done;
    request.len = bytes - done;
    const long result = RawCall(SYS_ioctl, descriptor_, UFFDIO_COPY, AsLong(&request));
    if (request.copy > 0) done += static_cast<uint64_t>(request.copy);
    if (IsError(result) && result != -EAGAIN) return result;
  }
  return 0;
}

long UserFault::Move(uintptr_t to, uintptr_t from, uint64_t bytes, uint64_t& done) const {
  done = 0;
  while (done < bytes) {
    MoveArguments request{to + done, from + done, bytes - done, 0, 0};
    const long result =
        RawCall(SYS_ioctl, descriptor_, AsLong(uint64_t{kMoveRequest}), AsLong(&request));
    if (request.move > 0) done += static_cast<uint64_t>(request.move);
    if (IsError(result) && (result != -EAGAIN || request.move <= 0)) return result;
  }
  return 0;
}

long UserFault::WriteProtect(Range range, bool on) const {
  uffdio_writeprotect request{};
  request.range = {range.begin, range.end - range.begin};
  request.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0;
  long result = 0;
  do {
    result = RawCall(SYS_ioctl, descriptor_, UFFDIO_WRITEPROTECT, AsLong(&request));
  } while (result == -EAGAIN);
  return IsError(result) ? result : 0;
}

}  // namespace coracle::epc
