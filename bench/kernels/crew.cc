#include "crew.h"

#include <immintrin.h>

namespace coracle::bench {

Crew::Crew(uint32_t threads) : threads_(threads) {
  if (threads_ == 2) second_ = std::thread([this] { Work(); });
}

Crew::~Crew() {
  if (!second_.joinable()) return;
  state_ = State::kQuit;
  state_.notify_one();
  second_.join();
}

void Crew::BeginTurn() {
  state_ = State::kAwake;
  state_.notify_one();
}

void Crew::EndTurn() { state_ = State::kAsleep; }

void Crew::Run(const std::function<void(uint32_t)>& job) {
  if (threads_ == 1) return job(0);
  job_ = &job;
  state_ = State::kWork;
  job(0);
  while (state_ == State::kWork) _mm_pause();
}

void Crew::Work() {
  for (State state = state_; state != State::kQuit; state = state_) {
    if (state == State::kAsleep) {
      state_.wait(State::kAsleep);
    } else if (state == State::kWork) {
      (*job_)(1);
      state_ = State::kAwake;
    } else {
      _mm_pause();
    }
  }
}

}  // namespace coracle::bench
