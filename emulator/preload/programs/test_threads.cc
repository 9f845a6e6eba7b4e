// Threads that fault at the same time, come and go by the hundred, wait for each other and are
// cancelled.

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cfenv>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "emulator/preload/programs/test_check.h"

namespace {

void WriteAndCheck(unsigned seed) {
  constexpr size_t kBytes = 3 << 20;
  std::vector<unsigned char> bytes(kBytes);
  for (unsigned round = 0; round < 4; ++round) {
    FillPattern(bytes.data(), kBytes, seed + round);
    PROGRAM_CHECK(HasPattern(bytes.data(), kBytes, seed + round));
  }
}

void AtTheSameTime() {
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 8; ++i) threads.emplace_back(WriteAndCheck, 10 * i);
  for (std::thread& thread : threads) thread.join();
}

void ByTheHundred() {
  std::atomic<int> count{0};
  for (int i = 0; i < 600; ++i) {
    std::thread thread([&count] { count.fetch_add(1); });
    if (i % 2 == 0) {
      thread.join();
    } else {
      thread.detach();
    }
  }
  while (count.load() < 600) usleep(1000);
}

void TakeTurns() {
  constexpr int kThreads = 4;
  constexpr int kTurns = 2000;
  std::mutex mutex;
  std::condition_variable changed;
  int turn = 0;
  std::vector<std::thread> threads;
  for (int own = 0; own < kThreads; ++own) {
    threads.emplace_back([&, own] {
      for (int i = 0; i < kTurns / kThreads; ++i) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return turn % kThreads == own; });
        ++turn;
        changed.notify_all();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  PROGRAM_CHECK(turn == kTurns);
  std::unique_lock lock(mutex);
  PROGRAM_CHECK(changed.wait_for(lock, std::chrono::milliseconds(10)) == std::cv_status::timeout);
}

void* WaitForever(void*) {
  int ends[2];
  char byte = 0;
  PROGRAM_CHECK(pipe(ends) == 0);
  PROGRAM_CHECK(read(ends[0], &byte, 1) == 2);  // never answers
  return nullptr;
}

void* ComputeForever(void*) {
  pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, nullptr);
  for (;;) asm volatile("");
}

void Cancelled() {
  for (int i = 0; i < 20; ++i) {
    pthread_t thread;
    PROGRAM_CHECK(
        pthread_create(&thread, nullptr, i % 4 == 0 ? ComputeForever : WaitForever, nullptr) == 0);
    usleep(1000);
    pthread_cancel(thread);
    void* result = nullptr;
    pthread_join(thread, &result);
    PROGRAM_CHECK(result == PTHREAD_CANCELED);
  }
}

/// A new thread has its maker's floating-point state.
void Inherited() {
  std::fesetround(FE_UPWARD);
  int rounding = -1;
  std::thread thread([&rounding] { rounding = std::fegetround(); });
  thread.join();
  PROGRAM_CHECK(rounding == FE_UPWARD);
  std::fesetround(FE_TONEAREST);
}

[[gnu::noinline]] int Throw(int level) {  // NOLINT(misc-no-recursion)
  if (level == 0) throw std::runtime_error("from below");
  return Throw(level - 1) + 1;
}

void Thrown() {
  try {
    Throw(1000);
    PROGRAM_CHECK(false);
  } catch (const std::runtime_error& error) {
    PROGRAM_CHECK(std::string(error.what()) == "from below");
  }
}

}  // namespace

int main() {
  AtTheSameTime();
  ByTheHundred();
  TakeTurns();
  Cancelled();
  Inherited();
  Thrown();
  return 0;
}
