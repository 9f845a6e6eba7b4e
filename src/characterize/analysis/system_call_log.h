// SystemCallLog: what a program asked of its kernel, and what that did to its memory.
//
// Each call leaves an enclave (an OCALL). Calls are counted when they are made; their effects on
// memory are applied when they have returned well. Times that the vDSO gives without leaving the
// program are counted apart: QEMU gives the program no vDSO, so that they arrive as calls here.
// The program's execve is made before anything is followed, and so not counted. Threads that glibc
// would start by clone3, which QEMU does not know, are counted as clone.
// Threads: one at a time.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "characterize/analysis/trace_analysis.h"

namespace coracle::characterize {

struct SystemCall {
  int64_t number = -1;
  std::array<uint64_t, 6> arguments = {};
};

class SystemCallLog {
 public:
  struct Counts {
    uint64_t calls = 0;
    uint64_t errors = 0;
  };

  /// The name of an open file of the program; empty if it has none.
  using FileName = std::function<std::string(uint64_t descriptor)>;
  explicit SystemCallLog(FileName file_name) : file_name_(std::move(file_name)) {}

  void Enter(const SystemCall& call);
  /// `result`: as the kernel gives it, errors in [-4095, -1].
  void Return(const SystemCall& call, int64_t result, TraceAnalysis& analysis);

  /// All counts begin anew.
  void Restart();

  /// By number.
  const std::map<int64_t, Counts>& calls() const { return calls_; }
  const std::map<int64_t, Counts>& vdso_calls() const { return vdso_calls_; }
  /// The program has begun to run another in its place (execve): nothing more will be seen.
  bool replaced() const { return replaced_; }

  uint64_t threads_started() const { return threads_started_; }
  uint64_t processes_started() const { return processes_started_; }
  /// Handlers of signals that returned. Those that end in a longjmp or in the program's end do not.
  uint64_t signals_handled() const;
  uint64_t signals_sent() const;

 private:
  Counts& CountsOf(const SystemCall& call);
  uint64_t CallsOf(int64_t number) const;
  void ReturnFromMap(const SystemCall& call, uint64_t address, TraceAnalysis& analysis) const;

  FileName file_name_;
  std::map<int64_t, Counts> calls_;
  std::map<int64_t, Counts> vdso_calls_;
  bool replaced_ = false;
  uint64_t threads_started_ = 0;
  uint64_t processes_started_ = 0;
};

}  // namespace coracle::characterize
