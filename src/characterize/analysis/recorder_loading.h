// RecorderLoading: which system calls of a traced program are the loader's, made for the library
// that we have preloaded (allocations/recorder.cc): the program by itself would not make them.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "characterize/analysis/system_call_log.h"

namespace coracle::characterize {

class RecorderLoading {
 public:
  /// `path`: as it is preloaded; empty: nothing is.
  explicit RecorderLoading(std::string path) : path_(std::move(path)) {}

  /// Before the call.
  bool Makes(const SystemCall& call) const;
  /// After a call that it makes. `result`: as the kernel gives it.
  void Return(const SystemCall& call, int64_t result);
  /// Whether the code or data at `address` is the library's.
  bool Holds(uint64_t address) const { return address - begin_ < bytes_; }

 private:
  bool IsOpening(const SystemCall& call) const;

  std::string path_;
  std::optional<uint64_t> descriptor_;  ///< while the loader has it open
  uint64_t begin_ = 0;
  uint64_t bytes_ = 0;  ///< 0: not mapped yet
};

}  // namespace coracle::characterize
