// InputFile: a regular file that a user named, read at offsets through small buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "host/posix/file_descriptor.h"

namespace coracle::vision {

/// Operator side: the file may change while it is read; every read is checked.
/// Threads: const methods may be called from several.
class InputFile {
 public:
  /// Errors: kNotFound; kPermissionDenied; kInvalidArgument (a directory, a device, a pipe, an
  /// empty file, or more than `bytes_max`); kUnavailable.
  static Result<InputFile> Open(const std::string& path, uint64_t bytes_max);

  const std::string& path() const { return path_; }
  /// The size when it was opened.
  uint64_t size() const { return size_; }
  /// Exactly out.size() bytes at `offset`. Errors: kUnavailable (short or failed).
  Status ReadAt(uint64_t offset, std::span<std::byte> out) const;

 private:
  InputFile(host::FileDescriptor file, std::string path, uint64_t size)
      : file_(std::move(file)), path_(std::move(path)), size_(size) {}

  host::FileDescriptor file_;
  std::string path_;
  uint64_t size_;
};

}  // namespace coracle::vision
