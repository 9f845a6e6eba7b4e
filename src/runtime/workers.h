// Workers: threads that live as long as a session and run one job together.
//
// Between jobs a worker spins for a bounded time before it sleeps (waking another core can cost 100
// us), and while a job runs nothing is called but the host's Wait and WakeAll.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "host/outside.h"

namespace coracle::runtime {

/// What every worker does: `run(context, worker)` with worker 0 on the calling thread.
struct Job {
  void (*run)(void* context, uint32_t worker) = nullptr;
  void* context = nullptr;
};

class Workers {
 public:
  /// Starts count - 1 threads. Requires: count >= 1; `threads` outlives this (unused for count 1).
  static Result<std::unique_ptr<Workers>> Start(uint32_t count, host::Threads* threads);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  uint32_t count() const { return count_; }

  /// Runs `job` on workers 0..used-1 and returns when all have finished. Allocates nothing.
  /// Requires: 1 <= used <= count(); called by one thread at a time.
  void Run(uint32_t used, Job job);

  /// Inside of a job: returns when all `used` workers of it have arrived.
  void Barrier(uint32_t used);

 private:
  Workers(uint32_t count, host::Threads* threads) : count_(count), threads_(threads) {}
  void Loop(uint32_t worker);
  /// Spins, then sleeps, until `word` differs from `seen`.
  void AwaitChange(const std::atomic<uint32_t>& word, uint32_t seen);
  /// Changes `word` and wakes whoever sleeps.
  void Announce(std::atomic<uint32_t>& word);

  const uint32_t count_;
  host::Threads* const threads_;
  std::vector<std::unique_ptr<host::Thread>> started_;

  alignas(64) std::atomic<uint32_t> job_number_{0};
  alignas(64) std::atomic<uint32_t> running_{0};
  alignas(64) std::atomic<uint32_t> finished_jobs_{0};
  alignas(64) std::atomic<uint32_t> barrier_arrived_{0};
  alignas(64) std::atomic<uint32_t> barrier_round_{0};
  alignas(64) std::atomic<uint32_t> sleepers_{0};
  Job job_;
  uint32_t used_ = 0;
  bool stopping_ = false;
};

}  // namespace coracle::runtime
