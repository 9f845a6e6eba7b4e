#include "emulator/preload/program_memory.h"

#include <sys/syscall.h>
#include <sys/uio.h>

#include <cerrno>

#include "emulator/preload/raw_call.h"

namespace coracle::epc {
namespace {

/// Copies between our memory and the program's by a call that fails where nothing is mapped. `call`
/// says which of the two is the program's.
bool CopyChecked(long call, std::byte* to, const std::byte* from, uint64_t bytes) {
  if (bytes == 0) return true;
  const bool reads = call == SYS_process_vm_readv;
  const iovec local = {reads ? to : const_cast<std::byte*>(from), bytes};
  const iovec remote = {reads ? const_cast<std::byte*>(from) : to, bytes};
  const long done = AskKernel(call, AskKernel(SYS_getpid), &local, 1, &remote, 1, 0);
  if (done == -EPERM || done == -ENOSYS) {
    // Some sandboxes refuse the call. Then a wrong address ends the program, as a plain access
    // would.
    for (uint64_t i = 0; i < bytes; ++i) to[i] = from[i];
    return true;
  }
  return done == static_cast<long>(bytes);
}

}  // namespace

bool PeekProgram(uintptr_t address, std::span<std::byte> to) {
  const auto* const from = reinterpret_cast<const std::byte*>(address);
  return CopyChecked(SYS_process_vm_readv, to.data(), from, to.size());
}

bool PokeProgram(uintptr_t address, std::span<const std::byte> from) {
  auto* const to = reinterpret_cast<std::byte*>(address);
  return CopyChecked(SYS_process_vm_writev, to, from.data(), from.size());
}

}  // namespace coracle::epc
