// --timeline: the run as a CSV file, a line every 10 ms (as near as the machine allows).
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "base/result.h"
#include "emulator/pager/run_record.h"

namespace coracle::epc {

inline constexpr uint32_t kTimelineMs = 10;

/// Columns: milliseconds since the start; resident_bytes and wanted_bytes at that moment; loads,
/// evictions and zero_fills since the line before.
class Timeline {
 public:
  /// Errors: kUnavailable.
  static Result<std::unique_ptr<Timeline>> Make(const std::string& path);
  ~Timeline();
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  /// Adds a line if 10 ms have passed since the last.
  void Tick(const RunRecord& record);
  /// Adds the last line and writes everything to the file.
  /// Errors: kUnavailable.
  Status Finish(const RunRecord& record);

 private:
  Timeline(std::string path, std::FILE* file, uint64_t start_ns);
  void Line(const RunRecord& record, uint64_t now_ns);

  std::string path_;
  std::FILE* file_;
  uint64_t start_ns_;
  uint64_t next_ns_;
  uint64_t loads_ = 0;
  uint64_t evictions_ = 0;
  uint64_t zero_fills_ = 0;
};

}  // namespace coracle::epc
