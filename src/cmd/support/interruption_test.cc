#include "cmd/support/interruption.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace coracle::cmd {
namespace {

int earlier_count = 0;  // of a signal handler

TEST(InterruptionTest, TheSecondSignalDoesWhatItDidBefore) {
  struct sigaction action {};
  action.sa_handler = [](int) { ++earlier_count; };
  struct sigaction before {};
  ::sigaction(SIGTERM, &action, &before);
  {
    const Interruption interruption;
    EXPECT_EQ(Interruption::signal_number(), 0);
    ::raise(SIGTERM);
    EXPECT_EQ(Interruption::signal_number(), SIGTERM);
    EXPECT_EQ(earlier_count, 0);
    ::raise(SIGTERM);
    EXPECT_EQ(earlier_count, 1);
  }
  ::raise(SIGTERM);
  EXPECT_EQ(earlier_count, 2);
  ::sigaction(SIGTERM, &before, nullptr);
}

TEST(InterruptionTest, IgnoredSignalsStayIgnored) {
  struct sigaction action {};
  action.sa_handler = SIG_IGN;
  struct sigaction before {};
  ::sigaction(SIGHUP, &action, &before);
  {
    const Interruption interruption;
    ::raise(SIGHUP);
    EXPECT_EQ(Interruption::signal_number(), 0);
  }
  ::sigaction(SIGHUP, &before, nullptr);
}

}  // namespace
}  // namespace coracle::cmd
