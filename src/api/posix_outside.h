// PosixOutside: all that a session needs of the outside, in a plain process.
#pragma once

#include <memory>

#include "base/result.h"
#include "host/posix/clock.h"
#include "host/posix/entropy.h"
#include "host/posix/memory.h"
#include "host/posix/outside_memory.h"
#include "host/posix/threads.h"
#include "plan/plan.h"
#include "runtime/session.h"
#include "seal/reader.h"

namespace coracle {

/// Must outlive the sessions that it starts.
class PosixOutside {
 public:
  /// A session on this machine's best kernels. The first that keeps rows outside makes the key that
  /// they are sealed under. Errors: as runtime::Session::Create and runtime::ProcessSeal::Create.
  /// `observer` must outlive the session; null: none.
  Result<std::unique_ptr<runtime::Session>> Start(const seal::SealedModel& model, plan::Plan plan,
                                                  runtime::RunObserver* observer = nullptr);

  host::Clock& clock() { return clock_; }

 private:
  host::PosixMemory memory_;
  host::PosixThreads threads_;
  host::PosixClock clock_;
  host::PosixEntropy entropy_;
  host::PosixOutsideMemory outside_memory_;
  std::unique_ptr<runtime::ProcessSeal> seal_;  ///< null: no plan has kept anything outside
};

}  // namespace coracle
