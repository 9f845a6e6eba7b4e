#include "vision/input_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/units.h"

namespace coracle::vision {
namespace {

Error OpenError(const std::string& path, int number) {
  const Code code = number == ENOENT || number == ENOTDIR ? Code::kNotFound
                    : number == EACCES || number == EPERM ? Code::kPermissionDenied
                                                          : Code::kUnavailable;
  return Error{code,
               fmt::format("cannot open {}: {}", path, std::generic_category().message(number))};
}

}  // namespace

Result<InputFile> InputFile::Open(const std::string& path, uint64_t bytes_max) {
  // O_NONBLOCK: a pipe without a writer must not hang us before we see that it is one.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return OpenError(path, errno);
  InputFile file(descriptor, path);
  struct stat status {};
  if (fstat(descriptor, &status) != 0) return OpenError(path, errno);
  if (S_ISDIR(status.st_mode)) {
    return Error{Code::kInvalidArgument, fmt::format("{} is a directory: name a file", path)};
  }
  if (!S_ISREG(status.st_mode)) {
    return Error{Code::kInvalidArgument, fmt::format("{} is not a regular file", path)};
  }
  file.size_ = static_cast<uint64_t>(status.st_size);
  if (file.size_ == 0) return Error{Code::kInvalidArgument, fmt::format("{} is empty", path)};
  if (file.size_ > bytes_max) {
    return Error{Code::kInvalidArgument,
                 fmt::format("{} has {}, more than the limit of {}", path, FormatBytes(file.size_),
                             FormatBytes(bytes_max))};
  }
  return file;
}

InputFile::InputFile(InputFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      path_(std::move(other.path_)),
      size_(other.size_) {}

InputFile& InputFile::operator=(InputFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  std::swap(size_, other.size_);
  return *this;
}

InputFile::~InputFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

Status InputFile::ReadAt(uint64_t offset, std::span<std::byte> out) const {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t got =
        pread(descriptor_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return Error{Code::kUnavailable, fmt::format("cannot read {}: {}", path_,
                                                   std::generic_category().message(errno))};
    }
    if (got == 0) {
      return Error{Code::kUnavailable, fmt::format("{} ends at byte {}, before byte {}", path_,
                                                   offset + done, offset + out.size())};
    }
    done += static_cast<size_t>(got);
  }
  return {};
}

}  // namespace coracle::vision
