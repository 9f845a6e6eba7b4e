// OutputFile: a file that appears under its name whole, or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "host/posix/atomic_file.h"
#include "host/posix/file_descriptor.h"

namespace coracle::vision {

/// A buffer over host::AtomicFile. A device or a pipe (/dev/stdout) is written directly, and a link
/// is followed, where a rename would replace them.
class OutputFile {
 public:
  /// Replaces an existing regular file. Errors: kInvalidArgument (a directory), kNotFound (its
  /// folder), kPermissionDenied, kUnavailable.
  static Result<OutputFile> Create(const std::string& path);

  /// Appends, through a 16 KiB buffer. Errors: kUnavailable (disk full, ...).
  Status Write(std::span<const std::byte> bytes);
  /// True for a regular file, which takes its bytes in any order; a device only front to back.
  bool TakesAnyOrder() const { return file_ != nullptr; }
  /// Puts bytes at `offset`, past all that was appended, at once. Requires: TakesAnyOrder(); no
  /// Write after. Errors: kUnavailable.
  Status WriteAt(uint64_t offset, std::span<const std::byte> bytes);
  /// Flushes and gives the file its name. Requires: called once, last. Errors: kUnavailable.
  Status Commit();

 private:
  OutputFile(std::string path, std::unique_ptr<host::AtomicFile> file, host::FileDescriptor device);
  Status Flush();
  Status WriteDevice();

  std::string path_;
  std::unique_ptr<host::AtomicFile> file_;  ///< null: device_ is written
  host::FileDescriptor device_;
  uint64_t written_ = 0;
  std::vector<std::byte> buffer_;
};

}  // namespace coracle::vision
