// Plan: everything that a prediction will do and where every byte of it will lie, known before it
// starts.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace coracle::plan {

inline constexpr uint64_t kUnlimited = UINT64_MAX;
inline constexpr uint32_t kMaxThreads = 64;
/// Most bands of one step.
inline constexpr uint32_t kMaxBands = 1024;
/// Alignment of every buffer in the pool; a tensor that is a slice of one only has a float's.
inline constexpr uint64_t kPoolAlignment = 64;

/// How a step computes (design 3-engine.md, Plan).
enum class Form : uint8_t {
  kLayer = 0,  ///< the whole output at once
  kBand = 1,  ///< bands of output rows in order; the output may overlap input rows no longer needed
};
std::string_view FormName(Form form);

enum class WeightsMode : uint8_t {
  kNone = 0,
  kStreamed = 1,  ///< each chunk opened into the slot when it is needed; once per band
  kHeld = 2,      ///< all chunks opened once (shared out to the workers), one behind the other
};
std::string_view WeightsModeName(WeightsMode mode);

/// How a step's work is divided among workers. The result's bits do not depend on it.
enum class Split : uint8_t {
  kNone = 0,    ///< one worker
  kRows = 1,    ///< by output rows; streamed weights: every worker opens every chunk
  kPanels = 2,  ///< by groups of weight chunks that complete their panels
};

/// A band form's direction. Bands begin at rows 0, band_rows, 2 band_rows, ...; kDown computes them
/// in this order, kUp the last one first. No worker begins a band before all have ended the one
/// before it.
enum class Direction : uint8_t { kDown = 0, kUp = 1 };

/// A range of the pool in bytes. bytes == 0: none.
struct PoolRange {
  uint64_t offset = 0;
  uint64_t bytes = 0;
  bool operator==(const PoolRange&) const = default;
};

/// Where a tensor lies. Several tensors may share memory: slices of a concatenation (the same
/// strides, other channels), a reshape of dense rows, an output over the input that it replaces.
struct Placement {
  uint64_t offset = 0;  ///< of its first element
  uint64_t row_stride_bytes = 0;
  uint64_t pixel_stride_bytes = 0;
  bool operator==(const Placement&) const = default;
};

/// One step: one node in some form, or a node that needs no work (elided Concat, Reshape in place).
struct Step {
  graph::NodeIndex node{};
  Form form = Form::kLayer;
  bool elided = false;  ///< the output already is where it belongs: no workers' ranges
  uint32_t band_rows =
      0;  ///< kBand: output rows of each band (fewer in the one that ends the image)
  Direction direction = Direction::kDown;
  WeightsMode weights = WeightsMode::kNone;
  Split split = Split::kNone;
  uint32_t workers = 1;
  std::vector<PoolRange> slots;       ///< kStreamed: one per worker
  PoolRange held;                     ///< kHeld
  std::vector<PoolRange> workspaces;  ///< one per worker (bytes 0: none needed)
  uint64_t live_bytes = 0;            ///< bytes of everything live during the step
  double predicted_ms = 0;
};

struct Plan {
  uint64_t budget_bytes = 0;
  uint64_t pool_bytes =
      0;  ///< peak: the end of the highest range that any step uses; <= budget_bytes
  uint64_t workspace_bytes = 0;  ///< largest sum of slots, held weights and workspaces of one step
  uint64_t live_load_bound_bytes = 0;  ///< no packing of these steps can need less
  uint32_t threads = 1;                ///< most workers that any step uses
  std::vector<Placement> placements;   ///< by TensorIndex
  std::vector<Step> steps;  ///< in order of execution: a permutation of the graph's nodes
  double predicted_ms = 0;
};

/// Rates that the cost model turns work into time with; measured by the caller, or these defaults.
struct MachineRates {
  double fma_gflops = 100;  ///< one worker, 2 flops per multiply-add
  double aead_gbps = 8;     ///< one worker
  double copy_gbps = 8;
};

struct PlanRequest {
  uint64_t budget_bytes = kUnlimited;
  uint32_t threads = 1;  ///< a maximum: steps use fewer where slots do not fit
  MachineRates rates;
};

/// What the least budget is and which node sets it.
struct LeastBudget {
  uint64_t bytes = 0;
  graph::NodeIndex node{};
};

/// The fastest plan found within the budget; deterministic. Requires: a verified, packed kRows
/// graph. Errors: kOutOfBudget, "needs 3.2 MiB (layer conv4_2), has 2.0 MiB".
Result<Plan> MakePlan(const graph::Graph& graph, const PlanRequest& request);

/// The smallest budget for which MakePlan succeeds (one worker).
LeastBudget FindLeastBudget(const graph::Graph& graph);

/// Peak of a run that keeps every tensor and all weights in memory at once (what the budget saves).
uint64_t UnplannedBytes(const graph::Graph& graph);

}  // namespace coracle::plan
