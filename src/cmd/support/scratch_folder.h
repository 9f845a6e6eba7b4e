// A folder of this process alone, in TMPDIR, removed with what is in it.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace coracle::cmd {

class ScratchFolder {
 public:
  /// Errors: kUnavailable.
  static Result<std::unique_ptr<ScratchFolder>> Make();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace coracle::cmd
