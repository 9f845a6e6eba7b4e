// Plan: everything that a prediction will do and where every byte of it will lie, known before it
// starts.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "graph/convoy.h"
#include "graph/graph.h"

namespace coracle::plan {

inline constexpr uint64_t kUnlimited = UINT64_MAX;
inline constexpr uint32_t kMaxThreads = 64;
/// Most actions of one step, and of all steps of a plan.
inline constexpr uint32_t kMaxActions = 1U << 20;
/// Alignment of every buffer in the pool; a tensor that is a slice of one only has that of an
/// element (uint8: any byte).
inline constexpr uint64_t kPoolAlignment = 64;

/// What a step is called (design 3-engine.md, Plan). All three run in the same way: a list of
/// actions over windows of rows.
enum class Form : uint8_t {
  kLayer = 0,    ///< one node, its whole output in one action
  kBand = 1,     ///< one node, bands of output rows (y-plane partitioning)
  kCascade = 2,  ///< several nodes; rows flow from one to the next through rings
};
std::string_view FormName(Form form);

enum class WeightsMode : uint8_t {
  kNone = 0,
  kStreamed = 1,  ///< each chunk opened into the slot when it is needed; once per action
  kHeld = 2,      ///< all chunks opened before the step's first action, one behind the other
  kPinned = 3,    ///< as kHeld, but opened before the first prediction and kept between them
};
std::string_view WeightsModeName(WeightsMode mode);

/// How the work of one action is divided among workers. The result's bits do not depend on it.
enum class Split : uint8_t {
  kNone = 0,    ///< worker 0 does it all
  kRows = 1,    ///< by output rows; streamed weights: every worker opens every chunk
  kPanels = 2,  ///< by groups of weight chunks that complete their panels
};

/// How a step goes through the inputs of a convoy (graph/convoy.h). The result's bits do not depend
/// on it; for one input both are the same.
enum class Turns : uint8_t {
  /// All actions are done for one input after the other: rows are those of the graph for one input.
  /// Held weights are opened once for all, streamed ones once per action and input.
  kOneByOne = 0,
  /// Each action covers all inputs: rows are those of graph::WithBatch(graph, batch). No windows.
  kTogether = 1,
};
std::string_view TurnsName(Turns turns);

/// A range of the pool in bytes. bytes == 0: none.
struct PoolRange {
  uint64_t offset = 0;
  uint64_t bytes = 0;
  bool operator==(const PoolRange&) const = default;
};

/// Where a tensor (or the slots of its ring) lies. Several tensors may share memory: slices of a
/// concatenation (the same strides, other channels), a reshape of dense rows, an output over the
/// input that it replaces.
struct Placement {
  uint64_t offset = 0;  ///< of its first element (of slot 0)
  uint64_t row_stride_bytes = 0;
  uint64_t pixel_stride_bytes = 0;
  bool operator==(const Placement&) const = default;
};

/// Where a tensor is between steps.
enum class Home : uint8_t {
  kPool = 0,     ///< whole in the pool (those of all inputs), from the step that makes it (inputs:
                 ///< from before the first step) to the last that reads it (outputs: to after the
                 ///< last step)
  kStep = 1,     ///< nowhere: one step makes and reads it, and has a window of it
  kOutside = 2,  ///< sealed by blocks of rows in host memory; every step that makes or reads it
                 ///< has a window of it. Graph inputs and outputs ("sources", "sinks") or spilled
};

/// One tensor's place. kStep and kOutside need RowsOf(shape).images == 1 in the graph for one
/// input. Outside, the blocks of a convoy's inputs follow one another.
struct TensorPlan {
  Home home = Home::kPool;
  Placement place;          ///< kPool
  uint32_t block_rows = 0;  ///< kOutside: rows of one sealed block (an input's last may have fewer)
  /// kOutside: one 64-bit counter for each block (the nonce that it was last sealed under), live as
  /// long as a tensor with home kPool would be.
  PoolRange counters;
};

/// Rows of a tensor that one step keeps, those of one input at a time: row y lies in slot
/// y % ring_rows. Home::kStep and kOutside tensors only.
struct Window {
  graph::TensorIndex tensor{};
  Placement place;         ///< slot 0; live during this step only. kOutside: dense rows, 64-byte
                           ///< aligned
  uint32_t ring_rows = 0;  ///< 1..rows; kOutside: a multiple of block_rows, or all rows
};

/// One node's share in a step.
struct Part {
  graph::NodeIndex node{};
  /// The output already is where it belongs (Concat, Slice or Reshape over memory that its inputs
  /// are slices of): no actions. Only in a step of its own, all its tensors Home::kPool.
  bool elided = false;
  WeightsMode weights = WeightsMode::kNone;
  Split split = Split::kNone;
  PoolRange held;  ///< kHeld: live during the step; kPinned: live always
};

enum class ActionKind : uint8_t {
  kCompute = 0,  ///< rows [begin, end) of parts[index]'s output, of every image
  kOpen = 1,     ///< whole blocks of windows[index]'s tensor, from outside into the window
  kSeal = 2,     ///< whole blocks of windows[index]'s tensor, from the window to outside
};

/// Rows as kernels::PerImage() counts those of the node (kCompute), or of the tensor.
struct Action {
  ActionKind kind = ActionKind::kCompute;
  uint32_t index = 0;
  uint32_t begin = 0;
  uint32_t end = 0;
  bool operator==(const Action&) const = default;
};

/// One or more nodes, computed together by a list of actions in this order. No worker begins an
/// action before all have ended the one before it. Each part's rows are computed exactly once,
/// ascending; the only part of a step without windows may also go descending, unless it carries
/// rows (kernels::CarriesRows()).
struct Step {
  Form form = Form::kLayer;
  Turns turns = Turns::kOneByOne;
  std::vector<Part> parts;  ///< topological order
  std::vector<Window> windows;
  std::vector<Action> actions;
  uint32_t workers = 1;
  std::vector<PoolRange> slots;       ///< one per worker if some part streams, else none
  std::vector<PoolRange> workspaces;  ///< one per worker (bytes 0: none needed); elided: none
  uint64_t live_bytes = 0;            ///< bytes of everything live during the step
  double predicted_ms = 0;
};

struct Plan {
  uint32_t batch = 1;  ///< inputs of the convoy
  uint64_t budget_bytes = 0;
  uint64_t pool_bytes =
      0;  ///< peak: the end of the highest range that anything uses; <= budget_bytes
  uint64_t workspace_bytes = 0;  ///< largest sum of slots, held weights and workspaces of one step
  uint64_t pinned_bytes = 0;     ///< of the pool: weights kept between predictions
  uint64_t live_load_bound_bytes = 0;  ///< no packing of these steps can need less
  uint32_t threads = 1;                ///< most workers that any step uses
  std::vector<TensorPlan> tensors;     ///< by TensorIndex
  /// One block's room to seal graph inputs, and to open outputs, with Home::kOutside. Live with the
  /// inputs before the first step; with the outputs after the last. bytes 0: none needed.
  PoolRange input_staging;
  PoolRange output_staging;
  /// One per worker (of `threads`) if any weights are coded, else none: where it decodes chunks
  /// (graph::WeightLayout::DecodingBytes). Live always.
  std::vector<PoolRange> decoding;
  std::vector<Step> steps;  ///< in order of execution: every node in exactly one part
  double predicted_ms = 0;
};

/// The step that sets the pool's size; null if there are none.
const Step* FullestStep(const Plan& plan);

/// Blocks that a kOutside tensor of so many rows is sealed in.
uint64_t BlockCount(uint32_t rows, uint32_t block_rows);
/// Milliseconds of one input of the convoy.
double PredictedMsPerInput(const Plan& plan);

/// What one worker of this machine does, which the cost model (node_cost.h) turns work into time
/// with. runtime/measure_rates.h measures them; these defaults are an AVX-512 core of a cloud
/// machine.
struct MachineRates {
  double fma_gflops = 195;      ///< full register tiles of the panel kernel, 2 flops a multiply-add
  double dot8_gops = 680;       ///< the same on integers (WeightType::kDot8), 2 operations each
  double tile_ns = 26;          ///< beside its multiply-adds, one register tile of a panel
  double window_ns = 0.85;      ///< finding one tap of one output pixel
  double call_ns = 85;          ///< one call of a panel kernel
  double depthwise_ns = 0.09;   ///< one tap of 16 channels of an output pixel
  double vector_ns = 1.4;       ///< elementwise kernels: 16 channels of a pixel
  double pixel_ns = 2.5;        ///< elementwise kernels: one pixel
  double exponential_ns = 6.8;  ///< 16 exponentials (sigmoid, softmax, ...)
  double activation_gbps = 43;  ///< activations read and written beyond the second-level cache
  double weight_gbps = 34;      ///< reading open weights that lie beyond the second-level cache
  double aead_gbps = 16;        ///< opening and sealing what lies in cache
  double open_ns = 60;          ///< beside its bytes, one call that opens or seals
  double decode_gbps = 1.1;     ///< plain bytes of coded chunks that are found symbol by symbol
};

/// Whether memory that the steps leave over keeps weights open between predictions.
enum class Pinning : uint8_t {
  kAuto = 0,  ///< those that save the most time
  kNone = 1,  ///< every prediction opens every weight
};

/// What a plan may do to fit.
enum class Passes : uint8_t {
  kAny = 0,     ///< open weights several times, spill
  kSingle = 1,  ///< open each weight once; only graph inputs and outputs lie outside
};

struct PlanRequest {
  uint64_t budget_bytes = kUnlimited;
  uint32_t threads = 1;  ///< a maximum: steps use fewer where slots do not fit
  MachineRates rates;
  Pinning pinning = Pinning::kAuto;
  Passes passes = Passes::kAny;
  uint32_t batch = 1;  ///< inputs that are computed together
};

/// What the least budget is and which node sets it.
struct LeastBudget {
  uint64_t bytes = 0;
  graph::NodeIndex node{};
};

/// The fastest plan found within the budget; deterministic. Requires: a verified, packed kRows
/// graph for one input. Errors: kOutOfBudget, "needs 3.2 MiB (layer conv4_2), has 2.0 MiB"; as
/// graph::WithBatch().
Result<Plan> MakePlan(const graph::Graph& graph, const PlanRequest& request);

/// The smallest budget for which MakePlan succeeds (one worker).
LeastBudget FindLeastBudget(const graph::Graph& graph, Passes passes = Passes::kAny);
LeastBudget FindLeastBudget(const graph::Convoy& convoy, Passes passes = Passes::kAny);

/// True if the plan opens each weight at most once and spills nothing.
bool IsSinglePass(const graph::Graph& graph, const Plan& plan);

/// Peak of a run that keeps every tensor and all weights in memory at once (what the budget saves).
uint64_t UnplannedBytes(const graph::Graph& graph);

/// What one worker's decoding takes of the pool: room for the node that needs most. 0: none is
/// coded.
uint64_t DecodingBytes(const graph::Graph& graph);

}  // namespace coracle::plan
