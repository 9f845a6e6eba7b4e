// The RunRecord of one run, in a memfd that the program's process maps as well.
#pragma once

#include <memory>

#include "base/result.h"
#include "emulator/epcrun/descriptor.h"
#include "emulator/pager/run_record.h"

namespace coracle::epc {

class RunMemory {
 public:
  /// Errors: kUnavailable.
  static Result<std::unique_ptr<RunMemory>> Make();
  ~RunMemory();
  RunMemory(const RunMemory&) = delete;
  RunMemory& operator=(const RunMemory&) = delete;

  RunRecord& record() { return *record_; }
  const RunRecord& record() const { return *record_; }
  /// Inherited by the program, under a number so high that its own are what they would be without.
  int fd() const { return fd_.get(); }

 private:
  RunMemory(Descriptor fd, RunRecord* record) : fd_(std::move(fd)), record_(record) {}

  Descriptor fd_;
  RunRecord* record_;
};

}  // namespace coracle::epc
