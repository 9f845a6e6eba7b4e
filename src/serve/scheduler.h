// Scheduler: many predictions of many models within one budget of secure memory.
//
// Every convoy leases exactly its plan's bytes before it starts and returns them when it ends; a
// loaded model leases what it keeps. The sum of all leases never exceeds the budget, so whatever
// the load, no page has to be evicted. When little waits, a convoy gets a large and fast plan; when
// much waits, smaller plans let more run at once, and requests of one model that wait together run
// as one convoy: each weight chunk is opened once for all of them.
//
// A runner that has run stays warm, with its lease, until somebody needs the bytes.
//
// Between models of one priority the time is shared fairly (by predicted compute time, weighted); a
// higher priority goes first. The requests of one model and priority are a queue; a queue gains one
// level of priority for each aging span in which it is not served, so that none starves: a queue in
// which something waits is served again within
//
//   8 aging + f (C + 2 own + the sum of w (aging + 3 own / own w) + c over the other models)
//
// where c is a model's longest convoy times its workers, start included, w its weight, `own` and
// `own w` those of the queue's model, C the longest convoy of all, and f >= 1 how much longer than
// predicted convoys take. (For each model that comes meanwhile, another C.) Within a queue the
// earliest deadline goes first, but passes none that came one aging span before it.
//
// Threads: every method may be called by any thread, and by `done` callbacks: but Load, Unload and
// the destructor, which wait for running convoys, not by a callback. Callbacks hold their convoy's
// bytes and cores: they should be short.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "host/outside.h"
#include "serve/served_model.h"

namespace coracle::serve {

/// Most models that are loaded at once.
inline constexpr uint32_t kModelsMax = 1024;

enum class RequestId : uint64_t {};

enum class Priority : uint8_t { kLow = 0, kNormal = 1, kHigh = 2 };

/// One prediction that is asked for.
struct Request {
  std::string model;
  Priority priority = Priority::kNormal;
  /// By the scheduler's clock, in nanoseconds; 0: none. A request whose turn has not come by then
  /// is answered kUnavailable ("deadline").
  uint64_t deadline_ns = 0;
  /// Called once, on a worker, when the request's convoy has its memory, right before it runs: so
  /// inputs need no secure memory while they wait. An error here fails this request alone.
  std::function<Status(InputSink&)> write_inputs;
  /// Called exactly once for each accepted request, on one of the scheduler's threads or on the one
  /// that cancels, unloads or destroys; maybe before Submit has returned. With an error `outputs`
  /// is null; else it is valid during the call.
  std::function<void(const Status& status, const OutputSource* outputs)> done;
};

struct SchedulerSettings {
  uint64_t budget_bytes = 0;  ///< of everything: loaded models and running convoys
  uint32_t cores = 1;         ///< most workers that compute at once, over all convoys
  uint32_t queue_max = 1024;  ///< most requests that wait, over all models
  uint32_t model_queue_max = 256;
  /// A waiting queue gains one level of priority for each such span without being served.
  uint64_t aging_ns = 500'000'000;
  /// Most convoys that run at once.
  uint32_t convoys_max = 16;
};

/// Why accepted requests were not answered with outputs, and how many were.
struct SchedulerCounts {
  uint64_t submitted = 0;  ///< accepted
  uint64_t answered = 0;
  uint64_t failed = 0;  ///< by the model or its input
  uint64_t cancelled = 0;
  uint64_t expired = 0;   ///< deadline
  uint64_t unloaded = 0;  ///< its model went away
  uint64_t refused = 0;   ///< never accepted: queue full, unknown model, too large
  uint64_t convoys = 0;
  uint64_t runners_started = 0;
};

struct SchedulerState {
  uint64_t budget_bytes = 0;
  uint64_t leased_bytes = 0;       ///< now
  uint64_t leased_peak_bytes = 0;  ///< never above the budget
  uint64_t idle_bytes = 0;  ///< of those leased: by runners that idle and go when others need bytes
  uint32_t waiting = 0;
  uint32_t running = 0;   ///< requests
  double backlog_ms = 0;  ///< predicted: until all that waits and runs now is done
  SchedulerCounts counts;
};

class Scheduler {
 public:
  /// `clock` and `threads` outlive the scheduler. Errors: kInvalidArgument, kUnavailable.
  static Result<std::unique_ptr<Scheduler>> Create(const SchedulerSettings& settings,
                                                   host::Clock& clock, host::Threads& threads);
  /// Answers what waits with kUnavailable, waits for what runs.
  virtual ~Scheduler() = default;

  /// `weight`: the model's share of the time beside others' (1 is usual; 0.001 to 1000). Returns
  /// when the model's bytes are leased: they come before any convoy's, once what runs has ended.
  /// Errors: kInvalidArgument, kUnavailable (kModelsMax); kAlreadyExists, also while a model of
  /// that name is being unloaded; kOutOfBudget, naming needed and available bytes: its smallest
  /// plan would not fit beside the models that are loaded.
  virtual Status Load(std::unique_ptr<ServedModel> model, double weight) = 0;
  /// Waiting requests of the model are answered kUnavailable; returns when its last convoy has
  /// ended and all its bytes are returned. Errors: kNotFound.
  virtual Status Unload(std::string_view model) = 0;

  /// Errors (then `done` is never called): kNotFound (the model), kUnavailable (a queue is full;
  /// the message says when to try again), kInvalidArgument.
  virtual Result<RequestId> Submit(Request request) = 0;
  /// True: the request waited and has been answered kUnavailable ("cancelled"). False: it runs or
  /// has been answered.
  virtual bool Cancel(RequestId id) = 0;

  virtual SchedulerState state() const = 0;
};

}  // namespace coracle::serve
