// Runs a program under libepcrun.so as epcrun does: a record, the environment, exec.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "emulator/pager/run_record.h"

namespace coracle::epc {

class TestRun {
 public:
  /// A record with a limit, not started.
  explicit TestRun(uint64_t limit_bytes);
  /// Kills what still runs.
  ~TestRun();
  TestRun(const TestRun&) = delete;
  TestRun& operator=(const TestRun&) = delete;

  enum class For : uint8_t { kThisProcess, kAnotherProcess };

  /// Starts the program; the first argument is its path. kAnotherProcess: the handover names a
  /// process that it is not, as a child of a program finds it.
  void Start(const std::vector<std::string>& arguments, For whom = For::kThisProcess);
  /// Waits for its end. Its exit code, or 128 + signal.
  int Wait();
  void Kill(int signal);

  RunRecord& record() { return *record_; }

 private:
  RunRecord* record_ = nullptr;
  int fd_ = -1;
  pid_t pid_ = 0;
};

}  // namespace coracle::epc
