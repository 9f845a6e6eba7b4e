// A world around a Dispatcher for tests: models, memory, requests and time, all simulated from a
// seed, and a checker that keeps books of its own and shares no code with the dispatcher.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "host/fake/random.h"
#include "serve/dispatcher.h"

namespace coracle::serve {

struct WorldSettings {
  uint64_t seed = 0;
  SchedulerSettings scheduler;
  uint32_t models = 5;
  double load = 1.2;       ///< offered, of what the cores can do at best
  double overrun_max = 2;  ///< a convoy takes up to this many times what was predicted
};

class World {
 public:
  explicit World(const WorldSettings& settings);

  /// The next thing that happens, of inside (a convoy or a discard is done) or outside (a request,
  /// a cancellation, a model that comes or goes).
  void Step();
  /// No more comes from outside: runs until nothing waits, unloads all and checks that all bytes
  /// are back.
  void Drain();

  /// Longest that a queue of one model and priority went unserved while something waited in it, as
  /// a part of the bound that scheduler.h promises.
  double longest_wait_of_bound() const { return longest_wait_of_bound_; }
  const SchedulerCounts& counted() const { return counted_; }

 private:
  enum class Fate : uint8_t { kWaiting, kRunning, kOver };
  struct KnownRequest {
    ModelId model{};
    uint32_t priority = 0;
    uint64_t deadline_ns = 0;
    Fate fate = Fate::kWaiting;
  };
  struct Flow {
    std::set<RequestId> waiting;
    uint64_t since_ns = 0;
    uint64_t loads_before = 0;
  };
  struct KnownModel {
    ModelOffer offer;
    bool is_leaving = false;
    bool is_counted = false;  ///< its bytes
    std::array<Flow, 3> flows;
    std::set<RunnerId> runners;
  };
  struct KnownRunner {
    ModelId model{};
    uint32_t choice = 0;
    bool is_busy = false;
    bool is_leaving = false;
    bool is_fresh = true;
    std::vector<RequestId> requests;
  };
  struct Event {
    uint64_t at_ns = 0;
    uint64_t order = 0;
    RunnerId runner{};
    bool operator>(const Event& other) const {
      return at_ns != other.at_ns ? at_ns > other.at_ns : order > other.order;
    }
  };

  ModelOffer RandomOffer();
  void External();
  void Submit();
  void Cancel();
  void Load();
  void Unload();
  void Inside(const Event& event);
  void EndConvoy(RunnerId id);
  void EndUnloads();
  void Decide();
  void BeginConvoy(const Convoy& convoy);
  void TakeBytes(uint64_t bytes);
  void ReturnBytes(uint64_t bytes);
  void EndRequest(RequestId id, Fate from);
  void CheckWaits();
  double BoundMs(const KnownModel& model, const Flow& flow) const;
  void CheckState();
  double Uniform() { return static_cast<double>(random_.Below(1'000'000)) / 1e6; }
  void Schedule(RunnerId runner, double in_ms);

  const WorldSettings settings_;
  Dispatcher dispatcher_;
  host::SplitMix64 random_;
  uint64_t now_ns_ = 1'000'000;
  uint64_t next_external_ns_ = 0;
  uint64_t steps_ = 0;
  uint64_t orders_ = 0;
  uint64_t loads_ = 0;
  uint64_t live_bytes_ = 0;
  uint32_t live_threads_ = 0;
  uint32_t live_convoys_ = 0;
  uint32_t discards_pending_ = 0;
  uint32_t waiting_ = 0;
  uint32_t running_ = 0;
  std::map<ModelId, KnownModel> models_;
  struct Departed {
    ModelOffer offer;
    uint64_t left_ns = 0;
  };
  std::vector<Departed> departed_;  ///< in the order in which they left
  std::map<RunnerId, KnownRunner> runners_;
  std::map<RequestId, KnownRequest> requests_;  ///< those that are not over
  std::vector<RequestId> recent_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  SchedulerCounts counted_;
  double longest_wait_of_bound_ = 0;
};

}  // namespace coracle::serve
