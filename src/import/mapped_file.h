// MappedFile: a model's file as read-only memory. Weights are used from here without a copy.
//
// A file that another process shortens while it is mapped ends this process (SIGBUS): the owner's
// own files, on the owner's machine.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace coracle::import {

class MappedFile {
 public:
  /// Errors: kNotFound, kPermissionDenied, kUnavailable, kInvalidArgument for a directory or
  /// another thing that is no regular file, kMalformed for an empty one. The message starts with
  /// `path`.
  static Result<std::shared_ptr<const MappedFile>> Open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  Bytes bytes() const { return bytes_; }

 private:
  explicit MappedFile(Bytes bytes) : bytes_(bytes) {}
  Bytes bytes_;
};

}  // namespace coracle::import
