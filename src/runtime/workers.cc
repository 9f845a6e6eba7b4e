#include "runtime/workers.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/check.h"
#include "kernels/fp_mode.h"

namespace coracle::runtime {
namespace {

// A few milliseconds at most. Waking a sleeper on another virtual core costs about 100 us, so a
// worker that sits out some short steps of a prediction must still be awake for the next; between
// predictions it sleeps.
constexpr uint32_t kSpins = 50'000;

void Pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

}  // namespace

Result<std::unique_ptr<Workers>> Workers::Start(uint32_t count, host::Threads* threads) {
  CORACLE_CHECK(count >= 1 && (count == 1 || threads != nullptr));
  std::unique_ptr<Workers> workers(new Workers(count, threads));
  workers->started_.reserve(count - 1);
  for (uint32_t worker = 1; worker < count; ++worker) {
    Workers* const self = workers.get();
    TRY_ASSIGN(auto thread, threads->Start([self, worker] { self->Loop(worker); }));
    workers->started_.push_back(std::move(thread));
  }
  return workers;
}

Workers::~Workers() {
  stopping_ = true;
  Announce(job_number_);
  started_.clear();  // joins
}

void Workers::AwaitChange(const std::atomic<uint32_t>& word, uint32_t seen) {
  for (uint32_t spin = 0; spin < kSpins; ++spin) {
    if (word.load(std::memory_order_acquire) != seen) return;
    Pause();
  }
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  while (word.load(std::memory_order_seq_cst) == seen) threads_->Wait(word, seen);
  sleepers_.fetch_sub(1, std::memory_order_relaxed);
}

void Workers::Announce(std::atomic<uint32_t>& word) {
  word.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) > 0) threads_->WakeAll(word);
}

void Workers::Run(uint32_t used, Job job) {
  CORACLE_CHECK(used >= 1 && used <= count_);
  if (used == 1) {
    job.run(job.context, 0);
    return;
  }
  job_ = job;
  used_ = used;
  // Every worker answers, also those that have no part in it: nobody may still read this job's
  // fields when the next one is written.
  running_.store(count_ - 1, std::memory_order_relaxed);
  const uint32_t finished_before = finished_jobs_.load(std::memory_order_acquire);
  Announce(job_number_);
  job.run(job.context, 0);
  AwaitChange(finished_jobs_, finished_before);
}

void Workers::Loop(uint32_t worker) {
  const kernels::ScopedFlushSubnormals flush;
  uint32_t seen = 0;
  while (true) {
    AwaitChange(job_number_, seen);
    if (stopping_) return;
    seen = job_number_.load(std::memory_order_acquire);
    if (worker < used_) job_.run(job_.context, worker);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) Announce(finished_jobs_);
  }
}

void Workers::Barrier(uint32_t used) {
  if (used == 1) return;
  const uint32_t round = barrier_round_.load(std::memory_order_acquire);
  if (barrier_arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == used) {
    barrier_arrived_.store(0, std::memory_order_relaxed);
    Announce(barrier_round_);
    return;
  }
  AwaitChange(barrier_round_, round);
}

}  // namespace coracle::runtime
