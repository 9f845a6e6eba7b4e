#include "cmd/support/interruption.h"

#include <signal.h>

#include <array>
#include <atomic>

#include "base/check.h"

namespace coracle::cmd {
namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};

// Reached by a signal handler, hence process-wide.
std::atomic<int> received{0};
struct sigaction before[kSignals.size()];
std::atomic<bool> alive{false};

void RestoreAll() {
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before[i], nullptr);
}

/// Async-signal-safe: sigaction is.
void OnSignal(int signal_number) {
  received.store(signal_number);
  RestoreAll();
}

}  // namespace

Interruption::Interruption() {
  CORACLE_CHECK(!alive.exchange(true));
  received.store(0);
  struct sigaction action {};
  action.sa_handler = OnSignal;
  ::sigfillset(&action.sa_mask);
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], nullptr, &before[i]);
  for (size_t i = 0; i < kSignals.size(); ++i) {
    if (before[i].sa_handler != SIG_IGN) ::sigaction(kSignals[i], &action, nullptr);
  }
}

Interruption::~Interruption() {
  RestoreAll();
  alive.store(false);
}

int Interruption::signal_number() { return received.load(); }

}  // namespace coracle::cmd
