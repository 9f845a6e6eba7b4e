#include "runtime/session.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"
#include "kernels/fp_mode.h"
#include "kernels/packing.h"
#include "plan/validate.h"
#include "runtime/binding.h"
#include "runtime/block_stage.h"
#include "runtime/placed_port.h"
#include "runtime/row_store.h"
#include "runtime/run_observer.h"
#include "runtime/step_runner.h"
#include "runtime/workers.h"
#include "seal/format.h"

namespace coracle::runtime {
namespace {

/// What a session is made of; in this order, for later ones use earlier ones.
struct Equipment {
  std::unique_ptr<host::MemoryRegion> region;
  std::unique_ptr<RowStore> store;  ///< null: nothing lies outside
  std::unique_ptr<Workers> workers;
  std::vector<WorkerState> states;
};

Status StatusOf(StepOutcome outcome) {
  switch (outcome) {
    case StepOutcome::kDone:
      return {};
    case StepOutcome::kTamperedWeights:
      return seal::TamperedModel();
    case StepOutcome::kTamperedRows:
      return TamperedRows();
    case StepOutcome::kSealRefused:
      return SealRefused();
  }
  CORACLE_CHECK(false);
}

class PlannedSession final : public Session {
 public:
  PlannedSession(const graph::Convoy& convoy, plan::Plan plan, const kernels::KernelSet& kernels,
                 Equipment equipment, const Outside& outside)
      : convoy_(convoy),
        plan_(std::move(plan)),
        equipment_(std::move(equipment)),
        bound_(BindPlan(convoy_, plan_, kernels, pool())),
        runner_(pool(), *equipment_.workers, equipment_.states, equipment_.store.get(), outside),
        clock_(outside.clock),
        observer_(outside.observer),
        used_bytes_(HighestByte(convoy_, plan_)),
        input_stage_(StageIn(plan_.input_staging)),
        output_stage_(StageIn(plan_.output_staging)),
        step_ns_(plan_.steps.size()) {
    const graph::Graph& graph = convoy_.one();
    for (const graph::Port& port : graph.inputs)
      inputs_.emplace_back(graph, plan_, port, pool().data());
    for (const graph::Port& port : graph.outputs)
      outputs_.emplace_back(graph, plan_, port, pool().data());
  }

  const plan::Plan& plan() const override { return plan_; }
  void WriteInput(uint32_t input, uint64_t first, std::span<const float> values) override;
  Status Run() override;
  Status ReadOutput(uint32_t output, uint64_t first, std::span<float> values) const override {
    CORACLE_CHECK(phase_ == Phase::kAnswered);
    return outputs_.at(output).Read(first, values, output_stage_);
  }
  const RunStats& stats() const override { return stats_; }
  uint64_t outside_bytes() const override {
    return equipment_.store == nullptr ? 0 : equipment_.store->outside_bytes();
  }
  std::span<const uint64_t> step_ns() const override { return step_ns_; }

 private:
  enum class Phase : uint8_t {
    kIdle,      ///< inputs are to be written
    kFed,       ///< some are
    kAnswered,  ///< outputs can be read
  };

  std::span<std::byte> pool() const { return equipment_.region->bytes(); }
  BlockStage StageIn(const plan::PoolRange& room) const {
    return BlockStage(equipment_.store.get(), pool().subspan(room.offset, room.bytes));
  }
  Status Execute();
  void StartStats();
  void CollectStats();

  const graph::Convoy convoy_;
  const plan::Plan plan_;
  Equipment equipment_;
  const BoundPlan bound_;
  StepRunner runner_;
  host::Clock* const clock_;
  RunObserver* const observer_;
  const uint64_t used_bytes_;
  std::vector<PlacedPort> inputs_;
  std::vector<PlacedPort> outputs_;
  BlockStage input_stage_;
  mutable BlockStage output_stage_;  ///< a cache
  Status fed_;                       ///< what went wrong while inputs were written
  RunStats stats_;
  std::vector<uint64_t> step_ns_;
  Phase phase_ = Phase::kIdle;
  bool pinned_ = false;
};

void PlannedSession::WriteInput(uint32_t input, uint64_t first, std::span<const float> values) {
  if (phase_ != Phase::kFed) {
    // The counters of the last prediction's inputs may have been overwritten by it.
    for (PlacedPort& port : inputs_) port.ForgetRows();
    input_stage_.Forget();
    fed_ = {};
    phase_ = Phase::kFed;
  }
  const Status written = inputs_.at(input).Write(first, values, input_stage_);
  if (fed_.ok()) fed_ = written;
}

Status PlannedSession::Run() {
  const kernels::ScopedFlushSubnormals flush;
  StartStats();
  Status done = fed_;
  if (done.ok()) done = input_stage_.Flush();
  phase_ = Phase::kIdle;
  if (done.ok()) done = Execute();
  CollectStats();
  if (!done.ok()) return done;
  output_stage_.Forget();
  phase_ = Phase::kAnswered;
  return {};
}

Status PlannedSession::Execute() {
  if (!pinned_ && !bound_.pinned.empty()) {
    TRY(StatusOf(runner_.OpenAll(bound_.pinned)));
    pinned_ = true;
  }
  uint64_t before = clock_ != nullptr ? clock_->NowNanoseconds() : 0;
  for (size_t step = 0; step < bound_.steps.size(); ++step) {
    if (observer_ != nullptr) observer_->StepComes(step);
    TRY(StatusOf(runner_.Run(bound_.steps[step])));
    if (clock_ == nullptr) continue;
    const uint64_t now = clock_->NowNanoseconds();
    step_ns_[step] = now - before;
    before = now;
  }
  return {};
}

void PlannedSession::StartStats() {
  stats_ = {};
  std::ranges::fill(step_ns_, 0);
  for (WorkerState& state : equipment_.states) {
    state.decrypted_bytes = 0;
    state.decrypt_ns = 0;
    state.spilled_bytes = 0;
    state.transferred_bytes = 0;
    state.host_calls_before = state.opener->host_calls();
  }
}

void PlannedSession::CollectStats() {
  stats_.pool_peak_bytes = used_bytes_;
  for (const WorkerState& state : equipment_.states) {
    stats_.decrypted_bytes += state.decrypted_bytes;
    stats_.decrypt_ns += state.decrypt_ns;
    stats_.spilled_bytes += state.spilled_bytes;
    stats_.transferred_bytes += state.transferred_bytes;
    stats_.host_calls += state.opener->host_calls() - state.host_calls_before;
  }
}

Result<Equipment> Equip(const seal::SealedModel& model, const plan::Plan& plan,
                        const Outside& outside) {
  Equipment equipment;
  TRY_ASSIGN(equipment.region, outside.memory->Reserve(plan.pool_bytes));
  if (outside.observer != nullptr) outside.observer->PoolReserved(equipment.region->bytes());
  if (KeepsRowsOutside(plan)) {
    CORACLE_CHECK(outside.seal != nullptr && outside.outside_memory != nullptr);
    TRY_ASSIGN(equipment.store,
               RowStore::Create(StoredTensorsOf(model.manifest().graph, plan), plan.threads,
                                *outside.seal, *outside.outside_memory));
  }
  TRY_ASSIGN(equipment.workers, Workers::Start(plan.threads, outside.threads));
  equipment.states.resize(plan.threads);
  for (uint32_t worker = 0; worker < plan.threads; ++worker) {
    TRY_ASSIGN(equipment.states[worker].opener, model.NewOpener());
    if (plan.decoding.empty()) continue;
    const plan::PoolRange& room = plan.decoding[worker];
    equipment.states[worker].opener->LendDecodingRoom(
        equipment.region->bytes().subspan(room.offset, room.bytes));
  }
  return equipment;
}

}  // namespace

bool KeepsRowsOutside(const plan::Plan& plan) {
  return std::ranges::any_of(plan.tensors, [](const plan::TensorPlan& tensor) {
    return tensor.home == plan::Home::kOutside;
  });
}

Result<std::unique_ptr<Session>> Session::Create(const seal::SealedModel& model, plan::Plan plan,
                                                 const kernels::KernelSet& kernels,
                                                 const Outside& outside) {
  CORACLE_CHECK(outside.memory != nullptr);
  const graph::Graph& graph = model.manifest().graph;
  for (const graph::Node& node : graph.nodes) TRY(kernels::CheckLayout(graph, node, node.weights));
  TRY(plan::Validate(graph, plan));
  TRY_ASSIGN(const graph::Convoy convoy, graph::Convoy::Make(graph, plan.batch));
  TRY_ASSIGN(Equipment equipment, Equip(model, plan, outside));
  return std::unique_ptr<Session>(std::make_unique<PlannedSession>(convoy, std::move(plan), kernels,
                                                                   std::move(equipment), outside));
}

}  // namespace coracle::runtime
