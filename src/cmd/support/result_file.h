// ResultFile: one line of JSON for each input of a batch, kept through whatever ends the program.
//
// A line goes to the file in one write, so a program that is killed leaves whole lines and at most
// one torn one, at the end. Opening the file again drops that and tells which inputs have their
// line. Beside FILE stands FILE.batch, written before the first line: what the results are of.
// Only a batch of the same may go on with the file.
#pragma once

#include <string>
#include <unordered_set>

#include "base/result.h"
#include "cmd/support/console.h"
#include "host/posix/file_descriptor.h"

namespace coracle::cmd {

/// Longer lines are no results.
inline constexpr size_t kResultLineBytesMax = size_t{16} << 20;

/// Threads: one at a time.
class ResultFile {
 public:
  /// `subject`: an object that says what the results are of (model, inputs, options that change
  /// answers). Errors: kInvalidArgument (the file is of something else, naming the first
  /// difference, or of nobody knows what); kMalformed (a line that is no result); kUnavailable
  /// (another program is writing it, ...); kNotFound, kPermissionDenied.
  static Result<ResultFile> Open(const std::string& path, const Json& subject);

  const std::string& path() const { return path_; }
  /// The "file" of each line.
  const std::unordered_set<std::string>& files() const { return files_; }
  /// Lines with an "error".
  size_t error_count() const { return error_count_; }

  /// `line`: an object with "file", which has no line yet. It has its line when this returns.
  /// Errors: kUnavailable (the disk is full, ...).
  Status Append(const Json& line);
  /// Flushes to the disk.
  Status Sync();

 private:
  ResultFile(std::string path, host::FileDescriptor file)
      : path_(std::move(path)), file_(std::move(file)) {}
  Status ReadLines();
  Status ReadLine(const std::string& text, size_t number);
  Status CheckSubject(const Json& subject) const;

  std::string path_;
  host::FileDescriptor file_;
  std::unordered_set<std::string> files_;
  size_t error_count_ = 0;
};

}  // namespace coracle::cmd
