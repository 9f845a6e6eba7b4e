#include "runtime/session.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"
#include "kernels/fp_mode.h"
#include "kernels/packing.h"
#include "plan/validate.h"
#include "runtime/binding.h"
#include "runtime/ports.h"
#include "runtime/step_runner.h"
#include "runtime/workers.h"
#include "seal/format.h"

namespace coracle::runtime {
namespace {

class PlannedSession final : public Session {
 public:
  PlannedSession(const graph::Graph& graph, plan::Plan plan, const kernels::KernelSet& kernels,
                 std::unique_ptr<host::MemoryRegion> region, std::unique_ptr<Workers> workers,
                 std::vector<WorkerState> states, host::Clock* clock)
      : plan_(std::move(plan)),
        region_(std::move(region)),
        workers_(std::move(workers)),
        states_(std::move(states)),
        steps_(BindSteps(graph, plan_, kernels, region_->bytes())),
        runner_(graph, region_->bytes(), *workers_, states_, clock) {
    for (const graph::Port& port : graph.inputs) inputs_.push_back(MapPort(graph, port));
    for (const graph::Port& port : graph.outputs) outputs_.push_back(MapPort(graph, port));
  }

  const plan::Plan& plan() const override { return plan_; }

  void WriteInput(uint32_t input, uint64_t first, std::span<const float> values) override {
    inputs_.at(input).Write(first, values);
    readable_ = false;
  }

  Status Run() override;

  void ReadOutput(uint32_t output, uint64_t first, std::span<float> values) const override {
    CORACLE_CHECK(readable_);
    outputs_.at(output).Read(first, values);
  }

  const RunStats& stats() const override { return stats_; }

 private:
  PortMap MapPort(const graph::Graph& graph, const graph::Port& port) {
    return PortMap(graph, port, plan_.placements.at(Position(port.tensor)),
                   region_->bytes().data());
  }
  void CollectStats();

  const plan::Plan plan_;
  const std::unique_ptr<host::MemoryRegion> region_;
  const std::unique_ptr<Workers> workers_;
  std::vector<WorkerState> states_;
  const std::vector<BoundStep> steps_;
  StepRunner runner_;
  std::vector<PortMap> inputs_;
  std::vector<PortMap> outputs_;
  RunStats stats_;
  bool readable_ = false;
};

Status PlannedSession::Run() {
  const kernels::ScopedFlushSubnormals flush;
  readable_ = false;
  stats_ = {};
  for (WorkerState& state : states_) {
    state.decrypted_bytes = 0;
    state.decrypt_ns = 0;
    state.host_calls_before = state.opener->host_calls();
  }
  for (size_t i = 0; i < steps_.size(); ++i) {
    const BoundStep* const next = i + 1 < steps_.size() ? &steps_[i + 1] : nullptr;
    stats_.pool_peak_bytes = std::max(stats_.pool_peak_bytes, steps_[i].end_bytes);
    if (runner_.Run(steps_[i], next) == crypto::Verdict::kTampered) {
      CollectStats();
      return seal::TamperedModel();
    }
  }
  CollectStats();
  readable_ = true;
  return {};
}

void PlannedSession::CollectStats() {
  for (const WorkerState& state : states_) {
    stats_.decrypted_bytes += state.decrypted_bytes;
    stats_.decrypt_ns += state.decrypt_ns;
    stats_.host_calls += state.opener->host_calls() - state.host_calls_before;
  }
}

}  // namespace

Result<std::unique_ptr<Session>> Session::Create(const seal::SealedModel& model, plan::Plan plan,
                                                 const kernels::KernelSet& kernels,
                                                 const Outside& outside) {
  CORACLE_CHECK(outside.memory != nullptr);
  const graph::Graph& graph = model.manifest().graph;
  for (const graph::Node& node : graph.nodes) TRY(kernels::CheckLayout(graph, node, node.weights));
  TRY(plan::Validate(graph, plan));
  TRY_ASSIGN(auto region, outside.memory->Reserve(plan.pool_bytes));
  TRY_ASSIGN(auto workers, Workers::Start(plan.threads, outside.threads));
  std::vector<WorkerState> states(plan.threads);
  for (WorkerState& state : states) {
    TRY_ASSIGN(state.opener, model.NewOpener());
  }
  return std::unique_ptr<Session>(
      std::make_unique<PlannedSession>(graph, std::move(plan), kernels, std::move(region),
                                       std::move(workers), std::move(states), outside.clock));
}

}  // namespace coracle::runtime
