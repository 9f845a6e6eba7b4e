// Dispatcher: what the scheduler decides, without threads, clock, models or memory of its own.
//
// It is told what happens (a request comes, a runner is done, bytes are back) and says what to do
// (start this convoy, discard that runner, tell those requests that they have expired). The same
// calls give the same decisions: that is how it is tested, a million steps at a time.
//
// Bytes: each runner has its lease from the decision to start it until Discarded() or Finish() say
// that it is gone; runners that idle keep theirs, and lose them to whoever needs the bytes: first
// those for whose models nothing waits, then the least recently used. A model leases its loaded
// bytes from its admission to EndUnload().
//
// Turns: models with requests waiting are ranked by the level of their queue (RequestQueue), then
// by the least time used (FairShare). The first one gets the plan of ChoosePlan(). If that does not
// fit now, or only at twice the cost of the plan that it would get from the whole budget, the model
// is *blocked*: the bytes and cores that it lacks are kept for it. Models behind it then start only
// convoys that end before those can be free, or that leave them untouched (EASY backfilling: Lifka,
// "The ANL/IBM SP scheduling system", JSSPP 1995). While any queue has gone unserved for
// kPassedSpansMax aging spans, nothing passes the first one: predictions may be wrong, ranks are
// not.
//
// Gathering: clients that had their answers together tend to ask again together. After a convoy of
// several, if nothing else waits, the model's next one is held for a moment until as many wait
// again: else the first of them would take the machine, and the others would have to follow in a
// second one.
//
// Threads: one at a time. Times must not run backwards.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "serve/choose_plan.h"
#include "serve/fair_share.h"
#include "serve/ledger.h"
#include "serve/request_queue.h"
#include "serve/scheduler.h"
#include "serve/served_model.h"

namespace coracle::serve {

/// A queue that has not been served for so many aging spans is not passed by backfilling any more.
inline constexpr uint64_t kPassedSpansMax = 8;

/// Never given twice.
enum class ModelId : uint64_t {};
enum class RunnerId : uint64_t {};

/// A convoy to run. A runner runs one at a time.
struct Convoy {
  RunnerId runner{};
  RunnerOrigin origin = RunnerOrigin::kFresh;
  ModelId model{};
  uint32_t choice = 0;
  std::vector<RequestId> requests;  ///< at most the choice's batch; never empty
};

struct Decisions {
  std::vector<RequestId> expired;  ///< to be answered; not known here any more
  std::vector<RunnerId> discard;   ///< to be destroyed, then Discarded()
  std::vector<Convoy> start;       ///< to be run, then Finish()
};

enum class RunnerFate : uint8_t {
  kKept,       ///< it may run again
  kDestroyed,  ///< it failed, or was never started; its memory is free
};

/// What a new model brings.
struct ModelOffer {
  std::string name;
  std::vector<PlanChoice> choices;
  uint64_t loaded_bytes = 0;
  double weight = 1;
};

class Dispatcher {
 public:
  /// Requires: CheckSettings(settings).
  explicit Dispatcher(const SchedulerSettings& settings);

  /// Errors: kInvalidArgument.
  static Status CheckSettings(const SchedulerSettings& settings);

  /// The model waits for its bytes: some Decide() admits it once they are free.
  /// Errors: kInvalidArgument, kAlreadyExists, kOutOfBudget.
  Result<ModelId> BeginLoad(ModelOffer offer);
  bool is_admitted(ModelId model) const { return models_.at(model).stage != Stage::kArriving; }

  struct Leaving {
    ModelId model{};
    std::vector<RequestId> waiting;  ///< to be answered; not known here any more
  };
  /// From now on the model takes no requests, and Decide() discards its runners.
  /// Errors: kNotFound.
  Result<Leaving> BeginUnload(std::string_view name);
  bool has_runners(ModelId model) const { return models_.at(model).runner_count > 0; }
  /// The model is gone. Requires: BeginUnload, no runners.
  void EndUnload(ModelId model);

  /// Errors: kNotFound, kUnavailable with the time after which to try again.
  Result<RequestId> Submit(std::string_view model, Priority priority, uint64_t deadline_ns,
                           uint64_t now_ns);
  /// A request was not accepted for a reason that is not known here.
  void CountRefused() { ++counts_.refused; }
  /// True: it waited, and is not known any more.
  bool Cancel(RequestId id);

  Decisions Decide(uint64_t now_ns);

  /// A fresh runner has been started. Requires: it is in a convoy.
  void CountStarted(RunnerId runner);
  /// One request of the runner's convoy is about to be answered. Requires: one is left.
  enum class Answer : uint8_t { kOutputs, kFailure };
  void CountAnswer(RunnerId runner, Answer answer);
  /// The convoy has ended. Requires: it runs, and all its requests have been counted.
  void Finish(RunnerId runner, RunnerFate fate, uint64_t now_ns);
  /// Requires: Decide() said so.
  void Discarded(RunnerId runner);

  /// When to Decide() next even if nothing happens: something expires, or a model is held no
  /// longer. 0: never. Requires: Decide(now_ns) has been called.
  uint64_t NextWake(uint64_t now_ns) const;
  /// Predicted milliseconds until all that waits and runs now is done.
  double BacklogMs(uint64_t now_ns) const;
  SchedulerState State(uint64_t now_ns) const;

 private:
  enum class Stage : uint8_t { kArriving, kAdmitted, kLeaving };
  enum class RunnerStage : uint8_t { kBusy, kIdle, kLeaving };

  struct Model {
    explicit Model(uint64_t aging_ns) : queue(aging_ns) {}
    ModelOffer offer;
    Stage stage = Stage::kArriving;
    RequestQueue queue;
    ShareAccount share;
    double work_ms = 0;
    std::vector<uint32_t> warm;  ///< for each choice, runners that idle
    uint32_t runner_count = 0;   ///< all stages
    uint32_t gathers = 0;        ///< so many requests are awaited
    uint64_t gathers_until_ns = 0;
  };
  struct Runner {
    ModelId model{};
    uint32_t choice = 0;
    uint64_t bytes = 0;
    uint32_t threads = 0;
    RunnerStage stage = RunnerStage::kBusy;
    uint32_t requests = 0;    ///< of its convoy
    uint32_t unanswered = 0;  ///< of these
    uint64_t ends_ns = 0;     ///< predicted
    uint64_t idle_order = 0;  ///< ascending since when it idles
  };
  struct Waiting {
    ModelId model{};
    WaitingRequest request;
  };
  using Models = std::map<ModelId, Model>;

  /// What those of higher rank are to get, before others may take anything.
  struct Claims {
    uint64_t bytes = 0;
    uint32_t cores = 0;
    uint32_t convoys = 0;
  };
  /// What is kept for the blocked model.
  struct Reservation {
    uint32_t choice = 0;
    uint64_t start_ns = 0;  ///< predicted: when it fits
    Room beside;            ///< what will be free beside it then
  };

  Models::iterator FindAdmitted(std::string_view name);
  Status CheckFits(const ModelOffer& offer) const;
  Error QueueFull(const std::string& queue, uint32_t count, uint64_t now_ns) const;
  void Forget(RequestId id);

  void Expire(uint64_t now_ns, Decisions& decisions);
  void DiscardIdleOfLeaving(Decisions& decisions);
  uint64_t AdmitArriving(Decisions& decisions);
  bool StartOne(uint64_t now_ns, uint64_t arriving_bytes, Decisions& decisions);
  std::vector<ModelId> Ranked(uint64_t now_ns) const;
  bool IsHeld(const Model& model, uint64_t now_ns) const;
  bool HasOldQueue(uint64_t now_ns) const;
  Demand DemandOf(const Model& model) const;

  Room FreeRoom(ModelId model, const Claims& claims) const;
  bool IsSpare(const Runner& idle, std::optional<ModelId> model) const;
  Room WholeRoom() const;
  Reservation Foresee(std::span<const Demand> ranked, Room room, uint64_t now_ns) const;
  std::optional<uint32_t> ChooseNow(std::span<const Demand> ranked, const Room& room,
                                    uint64_t now_ns) const;
  std::optional<uint32_t> ChooseBeside(std::span<const Demand> ranked, Room room,
                                       const Reservation& reservation, uint64_t now_ns) const;
  bool TryStart(ModelId model, uint32_t choice, Claims& claims, uint64_t now_ns,
                Decisions& decisions);
  void Start(ModelId id, uint32_t choice, uint64_t now_ns, Decisions& decisions);
  RunnerId Lease(ModelId model, uint32_t choice, RunnerOrigin origin);

  /// Discards what idles until `bytes` are free or about to be: what is spare for `model` first,
  /// then the least recently used.
  void FreeUp(uint64_t bytes, std::optional<ModelId> model, Decisions& decisions);
  void BeginDiscard(RunnerId runner, Decisions& decisions);

  const SchedulerSettings settings_;
  Ledger ledger_;
  FairShare fair_share_;
  Models models_;
  std::map<RunnerId, Runner> runners_;
  std::map<RequestId, Waiting> waiting_;
  std::set<std::pair<uint64_t, RequestId>> deadlines_;
  std::map<uint64_t, RunnerId> idle_;  ///< by idle_order
  uint64_t idle_bytes_ = 0;
  uint64_t leaving_bytes_ = 0;  ///< of runners that are being discarded
  uint32_t busy_threads_ = 0;
  uint32_t busy_count_ = 0;
  uint32_t running_requests_ = 0;
  SchedulerCounts counts_;
  uint64_t ids_given_ = 0;
};

}  // namespace coracle::serve
