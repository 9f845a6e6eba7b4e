// Models for tests that compute next to nothing, and count the memory that they would take.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "serve/served_model.h"

namespace coracle::serve {

/// What lives at this moment, counted by those who live, not by the scheduler. Threads: any.
class TestMemory {
 public:
  explicit TestMemory(uint64_t budget_bytes) : budget_bytes_(budget_bytes) {}
  void Take(uint64_t bytes) {
    if (live_bytes_.fetch_add(bytes) + bytes > budget_bytes_) exceeded_.fetch_add(1);
  }
  void Return(uint64_t bytes) { live_bytes_.fetch_sub(bytes); }
  uint64_t live_bytes() const { return live_bytes_.load(); }
  /// How often more than the budget lived.
  uint64_t exceeded() const { return exceeded_.load(); }

 private:
  const uint64_t budget_bytes_;
  std::atomic<uint64_t> live_bytes_{0};
  std::atomic<uint64_t> exceeded_{0};
};

/// Doors that a test opens: who comes early waits. Threads: any.
class TestGate {
 public:
  void Open() {
    open_.store(1);
    open_.notify_all();
  }
  void Pass() const { open_.wait(0); }

 private:
  std::atomic<uint32_t> open_{0};
};

/// The one input of `index` is one number x, its output is 2 x + 1.
struct TestModelSettings {
  std::string name = "m";
  std::vector<PlanChoice> choices;
  uint64_t loaded_bytes = 0;
  std::function<Status()> on_start = [] { return Status(); };
  /// What Run does, given how many inputs were written since the last one.
  std::function<Status(uint32_t)> on_run = [](uint32_t) { return Status(); };
};

class TestModel final : public ServedModel {
 public:
  /// `memory` outlives the model.
  TestModel(TestModelSettings settings, TestMemory& memory)
      : settings_(std::move(settings)), memory_(memory) {}
  ~TestModel() override;

  /// From now on the loaded bytes live, until the model goes.
  void CountLoaded();

  const std::string& name() const override { return settings_.name; }
  std::span<const PlanChoice> choices() const override { return settings_.choices; }
  uint64_t loaded_bytes() const override { return settings_.loaded_bytes; }
  Result<std::unique_ptr<Runner>> Start(uint32_t choice) override;

 private:
  const TestModelSettings settings_;
  TestMemory& memory_;
  bool is_counted_ = false;
};

}  // namespace coracle::serve
