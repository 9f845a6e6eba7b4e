#include "host/posix/entropy.h"

#include <sys/random.h>

#include <cerrno>

#include "host/posix/system_error.h"

namespace coracle::host {

Status PosixEntropy::Fill(std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t got = ::getrandom(out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return SystemError("draw random bytes from", "getrandom", errno);
    out = out.subspan(static_cast<size_t>(got));
  }
  return {};
}

}  // namespace coracle::host
