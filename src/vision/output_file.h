// OutputFile: a file that appears under its name whole, or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace coracle::vision {

/// Writes to a temporary file beside `path` and renames it in Commit. A character device or a pipe
/// (/dev/stdout) is written directly. Dropped without Commit, it leaves nothing behind.
class OutputFile {
 public:
  /// Replaces an existing regular file. Errors: kInvalidArgument (a directory), kNotFound (its
  /// folder), kPermissionDenied, kUnavailable.
  static Result<OutputFile> Create(const std::string& path);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&& other) noexcept;
  ~OutputFile();

  /// Appends, through a 16 KiB buffer. Errors: kUnavailable (disk full, ...).
  Status Write(std::span<const std::byte> bytes);
  /// Flushes and renames. Requires: called once. Errors: kUnavailable.
  Status Commit();
  const std::string& path() const { return path_; }

 private:
  OutputFile() = default;
  Status Flush();
  Error Failure(int number) const;

  int descriptor_ = -1;
  std::string path_;
  std::string temporary_;  ///< empty: written directly, or committed
  std::vector<std::byte> buffer_;
};

}  // namespace coracle::vision
