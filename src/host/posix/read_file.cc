#include "host/posix/read_file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/units.h"
#include "host/posix/file_descriptor.h"
#include "host/posix/system_error.h"

namespace coracle::host {
namespace {

constexpr uint64_t kFirstReadBytes = 64 * 1024;

/// Grows by hand: a vector's own growth would leave unwiped copies of a secret behind.
void Grow(std::vector<std::byte>& bytes, uint64_t size) {
  std::vector<std::byte> larger(size);
  std::copy(bytes.begin(), bytes.end(), larger.begin());
  ::explicit_bzero(bytes.data(), bytes.size());
  bytes.swap(larger);
}

/// What the file says that it holds, or a first guess for a pipe.
uint64_t ExpectedBytes(int file) {
  struct stat status {};
  if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= 0) {
    return kFirstReadBytes;
  }
  return static_cast<uint64_t>(status.st_size);
}

}  // namespace

Result<std::vector<std::byte>> ReadWholeFile(const std::string& path, uint64_t limit) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.open()) return SystemError("read", path, errno);
  // One byte more than allowed, or than expected, tells the end from a file that goes on.
  std::vector<std::byte> bytes(std::min(ExpectedBytes(file.number()), limit) + 1);
  uint64_t used = 0;
  while (true) {
    const ssize_t got = ::read(file.number(), bytes.data() + used, bytes.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError("read", path, errno);
    if (got == 0) break;
    used += static_cast<uint64_t>(got);
    if (used > limit) {
      return Error{Code::kInvalidArgument, "cannot read '" + path + "': it is longer than the " +
                                               FormatBytes(limit) + " that it may have"};
    }
    if (used == bytes.size()) Grow(bytes, std::min(2 * used, limit + 1));
  }
  if (used == 0) return Error{Code::kInvalidArgument, "cannot read '" + path + "': it is empty"};
  bytes.resize(used);
  return bytes;
}

}  // namespace coracle::host
