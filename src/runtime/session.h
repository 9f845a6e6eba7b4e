// Session: executes one plan of one sealed model, again and again.
//
// Everything that a prediction touches is reserved when the session is made; Run allocates nothing
// and, in view mode with one thread, makes no system call.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"
#include "host/outside.h"
#include "kernels/kernel.h"
#include "plan/plan.h"
#include "seal/reader.h"

namespace coracle::runtime {

/// The outside that a session uses; all must outlive it. `clock` may be null: times then read 0.
struct Outside {
  host::Memory* memory = nullptr;
  host::Threads* threads = nullptr;
  host::Clock* clock = nullptr;
};

/// Counters of one Run.
struct RunStats {
  uint64_t pool_peak_bytes = 0;  ///< end of the highest byte that a step used
  uint64_t decrypted_bytes = 0;
  uint64_t decrypt_ns = 0;  ///< summed over workers
  uint64_t spilled_bytes = 0;
  uint64_t host_calls = 0;  ///< calls to Blob::Read
};

class Session {
 public:
  /// Validates `plan` against the model's graph, reserves the pool, starts the workers.
  /// Errors: kMalformed (an invalid plan), kUnavailable.
  static Result<std::unique_ptr<Session>> Create(const seal::SealedModel& model, plan::Plan plan,
                                                 const kernels::KernelSet& kernels,
                                                 const Outside& outside);
  virtual ~Session() = default;

  virtual const plan::Plan& plan() const = 0;

  /// Copies elements [first, first + values.size()) of graph input `input`, in the port's element
  /// order, into the pool. Every element must be written before each Run (Run may overwrite
  /// inputs). Requires: in range.
  virtual void WriteInput(uint32_t input, uint64_t first, std::span<const float> values) = 0;

  /// One prediction. Errors: kTampered (no output is readable then).
  virtual Status Run() = 0;

  /// Copies elements of graph output `output` in the port's order. Requires: the last Run
  /// succeeded.
  virtual void ReadOutput(uint32_t output, uint64_t first, std::span<float> values) const = 0;

  virtual const RunStats& stats() const = 0;
};

}  // namespace coracle::runtime
