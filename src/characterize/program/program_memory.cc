#include "characterize/program/program_memory.h"

#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "characterize/program/access_run.h"

namespace coracle::characterize {

size_t CopyFromProgram(uint64_t address, void* to, size_t bytes) {
  const iovec local = {to, bytes};
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  const iovec remote = {reinterpret_cast<void*>(address), bytes};
  const ssize_t copied = ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0);
  return copied > 0 ? static_cast<size_t>(copied) : 0;
}

std::string TextFromProgram(uint64_t address, size_t bytes_max) {
  std::string text;
  if (address == 0) return text;
  // Page by page: the next may not be there.
  while (text.size() < bytes_max) {
    const uint64_t at = address + text.size();
    const auto wanted = std::min<size_t>(bytes_max - text.size(), kPageBytes - at % kPageBytes);
    const size_t before = text.size();
    text.resize(before + wanted);
    const size_t copied = CopyFromProgram(at, text.data() + before, wanted);
    text.resize(before + strnlen(text.data() + before, copied));
    if (text.size() < before + wanted) break;
  }
  return text;
}

}  // namespace coracle::characterize
