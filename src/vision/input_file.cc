#include "vision/input_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/units.h"
#include "host/posix/system_error.h"

namespace coracle::vision {

Result<InputFile> InputFile::Open(const std::string& path, uint64_t bytes_max) {
  const auto refuse = [&path](std::string_view why) {
    return Error{Code::kInvalidArgument, fmt::format("cannot read '{}': it {}", path, why)};
  };
  // O_NONBLOCK: a pipe without a writer must not hang us before we see that it is one.
  host::FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!file.open() || fstat(file.number(), &status) != 0) {
    return host::SystemError("read", path, errno);
  }
  if (S_ISDIR(status.st_mode)) return refuse("is a directory");
  if (!S_ISREG(status.st_mode)) return refuse("is not a regular file");
  const auto size = static_cast<uint64_t>(status.st_size);
  if (size == 0) return refuse("is empty");
  if (size > bytes_max) {
    return refuse(fmt::format("has {}, more than {}", FormatBytes(size), FormatBytes(bytes_max)));
  }
  return InputFile(std::move(file), path, size);
}

Status InputFile::ReadAt(uint64_t offset, std::span<std::byte> out) const {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = pread(file_.number(), out.data() + done, out.size() - done,
                              static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return host::SystemError("read", path_, errno);
    if (got == 0) {
      return Error{Code::kUnavailable,
                   fmt::format("cannot read '{}': it ends at byte {}, before {}", path_,
                               offset + done, offset + out.size())};
    }
    done += static_cast<size_t>(got);
  }
  return {};
}

}  // namespace coracle::vision
