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
#include "runtime/process_seal.h"
#include "seal/reader.h"

namespace coracle::runtime {

class RunObserver;

/// The outside that a session uses; all must outlive it. `clock` may be null: times then read 0.
/// `seal` and `outside_memory` may be null if the plan keeps nothing outside.
struct Outside {
  host::Memory* memory = nullptr;
  host::Threads* threads = nullptr;
  host::Clock* clock = nullptr;
  ProcessSeal* seal = nullptr;
  host::OutsideMemory* outside_memory = nullptr;
  RunObserver* observer = nullptr;  ///< null: nobody wants to know
};

/// True if the plan keeps rows of some tensor sealed in host memory.
bool KeepsRowsOutside(const plan::Plan& plan);

/// Counters of one Run.
struct RunStats {
  uint64_t pool_peak_bytes = 0;  ///< end of the highest byte that the plan uses
  uint64_t decrypted_bytes = 0;  ///< of weights, as they are sealed
  uint64_t decrypt_ns = 0;       ///< of weights, summed over workers
  uint64_t spilled_bytes = 0;  ///< sealed plus opened, of tensors that are no graph input or output
  uint64_t transferred_bytes = 0;  ///< the same of graph inputs (opened) and outputs (sealed)
  uint64_t host_calls = 0;         ///< calls to Blob::Read
};

class Session {
 public:
  /// Validates `plan` against the model's graph, reserves the pool and what is to lie outside,
  /// starts the workers. Errors: kMalformed (an invalid plan), kUnavailable, kUnsupported
  /// (RowStore).
  static Result<std::unique_ptr<Session>> Create(const seal::SealedModel& model, plan::Plan plan,
                                                 const kernels::KernelSet& kernels,
                                                 const Outside& outside);
  virtual ~Session() = default;

  virtual const plan::Plan& plan() const = 0;

  /// Takes elements [first, first + values.size()) of graph input `input`, in the port's element
  /// order; of a convoy (plan::Plan::batch), input after input. Every element must be written
  /// before each Run, which may overwrite inputs: the first WriteInput after a Run begins anew. An
  /// input outside is sealed block by block of rows: feed it whole, or row by row
  /// (ForEachRowPiece), for each return to a block opens and seals it again. What goes wrong there,
  /// Run says. Requires: in range.
  virtual void WriteInput(uint32_t input, uint64_t first, std::span<const float> values) = 0;

  /// One prediction, of all inputs of the convoy. The first also opens pinned weights, once for
  /// all. Errors: kTampered (no output is readable then), kUnavailable (rows must be sealed, and
  /// this is the child of a fork).
  virtual Status Run() = 0;

  /// Copies elements of graph output `output` in the port's order, as WriteInput counts them. One
  /// block of an output outside stays open between calls. Requires: the last Run succeeded, and
  /// nothing was written since. Errors: kTampered (an output outside; `values` then holds nothing
  /// of use).
  virtual Status ReadOutput(uint32_t output, uint64_t first, std::span<float> values) const = 0;

  /// Of the last Run.
  virtual const RunStats& stats() const = 0;
  /// Bytes of host memory that hold sealed rows.
  virtual uint64_t outside_bytes() const = 0;
  /// Nanoseconds of each of the plan's steps in the last Run; 0 for those that it did not reach.
  virtual std::span<const uint64_t> step_ns() const = 0;
};

}  // namespace coracle::runtime
