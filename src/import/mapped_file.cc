#include "import/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace coracle::import {
namespace {

/// Closes a descriptor at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Error SystemError(const std::string& path, int error) {
  Code code = Code::kUnavailable;
  if (error == ENOENT || error == ENOTDIR) code = Code::kNotFound;
  if (error == EACCES || error == EPERM) code = Code::kPermissionDenied;
  return Error{code, fmt::format("{}: {}", path, std::generic_category().message(error))};
}

}  // namespace

Result<std::shared_ptr<const MappedFile>> MappedFile::Open(const std::string& path) {
  // O_NONBLOCK: a named pipe must not make us wait for its writer.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return SystemError(path, errno);
  struct stat status = {};
  if (fstat(file.get(), &status) != 0) return SystemError(path, errno);
  if (S_ISDIR(status.st_mode)) {
    return Error{Code::kInvalidArgument, fmt::format("{}: is a directory, give a file", path)};
  }
  if (!S_ISREG(status.st_mode)) {
    return Error{Code::kInvalidArgument, fmt::format("{}: is not a regular file", path)};
  }
  if (status.st_size <= 0) return Error{Code::kMalformed, fmt::format("{}: is empty", path)};
  const auto size = static_cast<size_t>(status.st_size);
  void* address = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) return SystemError(path, errno);
  return std::shared_ptr<const MappedFile>(
      new MappedFile(Bytes(static_cast<const std::byte*>(address), size)));
}

MappedFile::~MappedFile() {
  // munmap takes a pointer to non-const; the mapping is ours to end.
  munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace coracle::import
