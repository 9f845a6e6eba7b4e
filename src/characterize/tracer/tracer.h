// Tracer: one traced run, inside of the QEMU process that emulates the program.
//
// Each thread records into a buffer of its own, without a lock; a full buffer, and one at each
// system call, goes through the analysis under the lock. So the order of accesses is exact within
// a thread; between threads that compute at the same time it is exact to one buffer
// (ThreadRecorder::kRuns), and so is where a mark of one thread falls in the others.
// Findings are written every few seconds at most, at the end and before a signal ends the program:
// the file is always a whole report, also after a kill -9.
// A child of fork is not followed: it goes on without being recorded. Nor is the library that tells
// of allocations (allocations/recorder.cc), nor what the loader asks of the kernel for it.
// Threads: OnAccess, OnCall and OnReturn by the thread that they say, all else by any.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "characterize/analysis/findings.h"
#include "characterize/analysis/recorder_loading.h"
#include "characterize/analysis/system_call_log.h"
#include "characterize/analysis/thread_recorder.h"
#include "characterize/analysis/trace_analysis.h"
#include "characterize/analysis/trace_notes.h"
#include "characterize/program/call_stack.h"
#include "characterize/program/function_table.h"
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

  /// What is to be followed of an instruction.
  struct Instruction {
    bool counted = false;      ///< its accesses are the program's
    uint32_t site = 0;         ///< its number
    FunctionIndex function{};  ///< that it belongs to
    CallKind call = CallKind::kNone;
  };
  /// Of the instruction at `address` with these bytes, which is about to be run.
  Instruction OnInstruction(uint64_t address, std::span<const uint8_t> bytes);

  void OnAccess(unsigned thread, uint32_t site, FunctionIndex function, uint64_t address,
                uint32_t bytes, AccessKind kind) {
    Thread* const followed = FollowedThread(thread);
    if (followed == nullptr) return;
    if (followed->recorder.Record(site, function, address, bytes, kind)) Flush(thread);
  }
  /// A call has stored the address to which it returns at `slot`.
  void OnCall(unsigned thread, uint64_t slot, uint64_t return_address) {
    if (Thread* const followed = FollowedThread(thread)) {
      followed->calls.Call(slot, return_address);
    }
  }
  /// A return has read `slot`.
  void OnReturn(unsigned thread, uint64_t slot) {
    if (Thread* const followed = FollowedThread(thread)) followed->calls.Return(slot);
  }

  void OnSystemCall(unsigned thread, const SystemCall& call);
  void OnSystemCallReturn(unsigned thread, int64_t result);
  /// The program ended; no thread runs any more.
  void OnEnd();
  /// A signal is about to end the program; other threads may still run.
  void OnDeath();
  /// Adds what others found to a report of the whole run.
  void SetFurtherFindings(std::function<Json()> findings) { further_ = std::move(findings); }
  /// Nothing can be found out, and why: the report says it.
  void Refuse(std::string why);

  /// Writes findings from time to time, until the end. Runs in a thread of its own.
  void ReportForever();

  // Around fork(2), in the thread that calls it.
  void BeforeFork() { lock_.lock(); }
  void AfterForkInParent() { lock_.unlock(); }
  void AfterForkInChild();

 private:
  struct Thread {
    ThreadRecorder recorder;
    CallStack calls;
  };
  /// Whose system call is under way.
  enum class Caller : uint8_t { kProgram, kLoaderForUs, kNote };
  struct PendingCall {
    SystemCall call;
    Caller caller = Caller::kProgram;
  };
  /// What a thread's recorder had counted when its buffer was last taken.
  struct Counted {
    PatternCounts patterns = {};
    uint64_t split = 0;
  };

  Thread* FollowedThread(unsigned thread) const {
    return thread < kThreadsMax ? followed_[thread].load(std::memory_order_relaxed) : nullptr;
  }
  void Flush(unsigned thread);
  void FlushLocked(unsigned thread);
  FunctionIndex FunctionAt(uint64_t address);
  CallPathIndex PathOf(unsigned thread);
  void TakeNote(const SystemCall& note, CallPathIndex path);
  void OnMark(uint64_t label);
  void FinishLocked();
  void StopFollowing();
  Counted CountedSoFar() const;
  std::string WhyNoAllocations() const;
  Json ReportLocked(bool complete) const;
  void WriteReportLocked(bool complete);

  const TracerOrders orders_;
  const std::chrono::steady_clock::time_point begin_;
  /// Null: not followed, or no longer.
  std::array<std::atomic<Thread*>, kThreadsMax> followed_ = {};
  std::array<PendingCall, kThreadsMax> pending_;  ///< by thread

  std::mutex lock_;  // guards all below
  std::array<std::unique_ptr<Thread>, kThreadsMax> threads_;
  std::array<Counted, kThreadsMax> counted_;
  Counted counted_before_;  ///< until from_mark
  TraceAnalysis analysis_;
  SystemCallLog calls_;
  RecorderLoading recorder_loading_;
  TraceNotes notes_;
  FunctionTable functions_;
  std::unordered_map<uint64_t, uint32_t> sites_;
  std::unordered_set<uint64_t> code_pages_;
  std::string refusal_;
  std::function<Json()> further_;
  uint64_t entry_ = 0;  ///< the program's first instruction, after the loader's; 0: not known
  bool statically_linked_ = false;
  bool from_mark_seen_ = false;
  bool to_mark_seen_ = false;
  bool following_ = true;
  bool death_reported_ = false;
  uint32_t threads_now_ = 0;
  uint32_t threads_peak_ = 0;
  uint64_t threads_lost_ = 0;
};

}  // namespace coracle::characterize
