// ClosedLoop: clients of a scheduler that each ask again as soon as they are answered.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "serve/scheduler.h"

namespace coracle::density {

/// A model that clients ask for.
struct Asked {
  std::string name;
  const graph::Graph* graph = nullptr;
};

/// What one client measured.
struct ClientRecord {
  std::vector<double> latencies_ms;  ///< from asking to the answer, outputs read
  double seconds = 0;                ///< from its first question to its last answer
};

class ClosedLoop {
 public:
  /// All must outlive this. Client i asks for models[i % models.size()].
  ClosedLoop(serve::Scheduler& scheduler, const std::vector<Asked>& models, uint32_t clients);

  /// Clients ask until `seconds` have passed; returns when all have their last answer. A request
  /// that fails ends the program: a bench has no other answer to it.
  void Run(double seconds);

  const std::vector<ClientRecord>& records() const { return records_; }

 private:
  using Clock = std::chrono::steady_clock;

  void Ask(uint32_t client);
  void Answered(uint32_t client, const Status& status, const serve::OutputSource* outputs);

  serve::Scheduler& scheduler_;
  const std::vector<Asked>& models_;
  std::vector<ClientRecord> records_;
  std::vector<Clock::time_point> asked_;
  Clock::time_point start_;
  Clock::time_point end_;
  std::atomic<uint32_t> asking_{0};
};

}  // namespace coracle::density
