// One or two threads that take turns with other engines' threads: they spin while they have a turn
// and sleep otherwise, so as not to disturb whoever is measured next.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>

namespace coracle::bench {

class Crew {
 public:
  /// Requires: threads is 1 or 2 (the caller is the first).
  explicit Crew(uint32_t threads);
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  uint32_t threads() const { return threads_; }
  /// The second thread spins from here on, until EndTurn().
  void BeginTurn();
  void EndTurn();
  /// Runs job(thread) on each thread; returns when all have. Requires: within a turn.
  void Run(const std::function<void(uint32_t)>& job);

 private:
  enum class State : uint32_t { kAsleep, kAwake, kWork, kQuit };
  void Work();

  const uint32_t threads_;
  std::atomic<State> state_{State::kAsleep};
  const std::function<void(uint32_t)>* job_ = nullptr;
  std::thread second_;
};

}  // namespace coracle::bench
