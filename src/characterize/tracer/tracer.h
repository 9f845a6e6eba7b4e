// Tracer: one traced run, inside of the QEMU process that emulates the program.
//
// Each thread records into a buffer of its own, without a lock; a full buffer, and one at each
// system call, goes through the analysis under the lock. So the order of accesses is exact within
// a thread; between threads that compute at the same time it is exact to one buffer
// (ThreadRecorder::kRuns).
// Findings are written every few seconds at most, at the end and before a signal ends the program:
// the file is always a whole report, also after a kill -9.
// A child of fork is not followed: it goes on without being recorded.
// Threads: OnAccess by the thread that it says, all else by any.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "characterize/system_call_log.h"
#include "characterize/thread_recorder.h"
#include "characterize/trace_analysis.h"
#include "characterize/tracer/orders.h"

namespace coracle::characterize {

class Tracer {
 public:
  /// Threads at one time that are followed.
  static constexpr size_t kThreadsMax = 1024;

  explicit Tracer(const TracerOrders& orders);

  /// Before the first instruction: what is mapped. `maps`: of /proc/self/maps.
  void OnStart(std::string_view maps);
  void OnThreadStart(unsigned thread);
  void OnThreadEnd(unsigned thread);
  /// The number of the instruction at `address`, `bytes` long.
  uint32_t SiteOf(uint64_t address, uint64_t bytes);
  void OnAccess(unsigned thread, uint32_t site, uint64_t address, uint32_t bytes, AccessKind kind) {
    if (thread >= kThreadsMax || recorders_[thread] == nullptr) return;
    if (recorders_[thread]->Record(site, address, bytes, kind)) Flush(thread);
  }
  void OnSystemCall(unsigned thread, const SystemCall& call);
  void OnSystemCallReturn(unsigned thread, int64_t result);
  /// The program ended; no thread runs any more.
  void OnEnd();
  /// A signal is about to end the program; other threads may still run.
  void OnDeath();
  /// Nothing can be found out, and why: the report says it.
  void Refuse(std::string why);

  /// Writes findings from time to time, until the end. Runs in a thread of its own.
  void ReportForever();

  // Around fork(2), in the thread that calls it.
  void BeforeFork() { lock_.lock(); }
  void AfterForkInParent() { lock_.unlock(); }
  void AfterForkInChild();

 private:
  void Flush(unsigned thread);
  void FlushLocked(unsigned thread);
  void WriteReportLocked(bool complete);

  /// What a thread's recorder had counted when its buffer was last taken.
  struct Counted {
    PatternCounts patterns = {};
    uint64_t split = 0;
  };

  const TracerOrders orders_;
  const std::chrono::steady_clock::time_point begin_;
  std::array<std::unique_ptr<ThreadRecorder>, kThreadsMax> recorders_;
  std::array<SystemCall, kThreadsMax> pending_;  ///< by thread

  std::mutex lock_;  // guards all below
  std::array<Counted, kThreadsMax> counted_;
  TraceAnalysis analysis_;
  SystemCallLog calls_;
  std::unordered_map<uint64_t, uint32_t> sites_;
  std::unordered_set<uint64_t> code_pages_;
  std::string refusal_;
  uint64_t entry_ = 0;  ///< the program's first instruction, after the loader's; 0: not known
  bool following_ = true;
  bool ended_ = false;
  uint32_t threads_now_ = 0;
  uint32_t threads_peak_ = 0;
  uint64_t threads_lost_ = 0;
};

}  // namespace coracle::characterize
