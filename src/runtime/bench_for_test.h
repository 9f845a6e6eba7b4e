// A sealed model with all that sessions of it need, for tests that run many plans of one model in
// memory that is poisoned and has guard pages around it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "host/fake/clock.h"
#include "host/fake/entropy.h"
#include "host/fake/guarded_memory.h"
#include "host/fake/memory.h"
#include "host/posix/threads.h"
#include "plan/test_cascades.h"
#include "runtime/sealed_graph_for_test.h"
#include "runtime/session.h"

namespace coracle::runtime {

/// A model with all that a session of it needs.
class Bench {
 public:
  explicit Bench(graph::Graph graph)
      : sealed_(SealInMemory(WithChannelsFirst(std::move(graph)), host::BlobAccess::kView)) {
    host::InsecureDeterministicEntropy entropy(3);
    auto seal = ProcessSeal::Create(entropy, memory_, crypto::PreferredAeadBackend());
    CORACLE_CHECK(seal.ok());
    seal_ = std::move(seal).value();
  }

  const graph::Graph& graph() const { return sealed_.model->manifest().graph; }
  const SealedGraph& sealed() const { return sealed_; }
  host::FakeOutsideMemory& outside() { return outside_; }

  std::unique_ptr<Session> Start(const plan::Plan& plan) { return Start(*sealed_.model, plan); }
  std::unique_ptr<Session> Start(const seal::SealedModel& model, const plan::Plan& plan) {
    auto session = Session::Create(model, plan, kernels::SimdKernels(),
                                   {&memory_, &threads_, &clock_, seal_.get(), &outside_});
    EXPECT_TRUE(session.ok()) << (session.ok() ? "" : session.error().message);
    return session.ok() ? std::move(session).value() : nullptr;
  }

  /// As many inputs as the plan takes, the convoy's input `begin` first, in pieces that end
  /// anywhere, so that blocks are touched again and again.
  void Feed(Session& session, uint32_t begin = 0) const {
    for (uint32_t input = 0; input < graph().inputs.size(); ++input) {
      const uint64_t elements = graph().inputs[input].shape.Elements();
      const std::vector<float> all = TestInput((begin + session.plan().batch) * elements);
      const std::span<const float> values = std::span(all).subspan(begin * elements);
      for (size_t first = 0; first < values.size(); first += 577) {
        const size_t count = std::min<size_t>(577, values.size() - first);
        session.WriteInput(input, first, values.subspan(first, count));
      }
    }
  }

  /// All outputs, one behind the other, those of the first input first.
  std::vector<float> Answer(const Session& session) const {
    const uint32_t batch = session.plan().batch;
    std::vector<std::vector<float>> by_input(batch);
    for (uint32_t output = 0; output < graph().outputs.size(); ++output) {
      const size_t elements = graph().outputs[output].shape.Elements();
      std::vector<float> values(batch * elements);
      const size_t half = values.size() / 3;
      EXPECT_TRUE(session.ReadOutput(output, 0, std::span(values).first(half)).ok());
      EXPECT_TRUE(session.ReadOutput(output, half, std::span(values).subspan(half)).ok());
      for (uint32_t input = 0; input < batch; ++input) {
        const auto mine = std::span(values).subspan(input * elements, elements);
        by_input[input].insert(by_input[input].end(), mine.begin(), mine.end());
      }
    }
    std::vector<float> all;
    for (const auto& values : by_input) all.insert(all.end(), values.begin(), values.end());
    return all;
  }

  std::vector<float> Predict(const plan::Plan& plan, uint32_t begin = 0) {
    const auto session = Start(plan);
    if (session == nullptr) return {};
    Feed(*session, begin);
    const Status done = session->Run();
    EXPECT_TRUE(done.ok()) << (done.ok() ? "" : done.error().message);
    return done.ok() ? Answer(*session) : std::vector<float>();
  }

  /// Each of `batch` inputs by itself, layer by layer, everything in the pool; the planner has no
  /// part in it.
  std::vector<float> Truth(uint32_t batch = 1) {
    plan::CascadeOptions options;
    for (uint32_t node = 1; node < graph().nodes.size(); ++node) options.cuts.push_back(node);
    options.rows_per_action = UINT32_MAX;
    options.weights = plan::WeightsMode::kHeld;
    const plan::Plan plan = plan::MakeCascadePlan(graph(), options);
    std::vector<float> truth;
    for (uint32_t input = 0; input < batch; ++input) {
      const std::vector<float> answer = Predict(plan, input);
      truth.insert(truth.end(), answer.begin(), answer.end());
    }
    EXPECT_TRUE(std::ranges::all_of(truth, [](float value) { return std::isfinite(value); }));
    return truth;
  }

 private:
  /// Rank-4 ports as the users of image networks see them.
  static graph::Graph WithChannelsFirst(graph::Graph graph) {
    for (auto* ports : {&graph.inputs, &graph.outputs}) {
      for (graph::Port& port : *ports) {
        const Shape rows = graph.shape(port.tensor);
        if (rows.rank() != 4) continue;
        port.shape = Shape{rows[0], rows[3], rows[1], rows[2]};
        port.perm = {0, 2, 3, 1};
      }
    }
    return graph;
  }

  SealedGraph sealed_;
  host::GuardedMemory memory_;
  host::FakeOutsideMemory outside_;
  host::PosixThreads threads_;
  host::FakeClock clock_{0, 1};
  std::unique_ptr<ProcessSeal> seal_;
};

inline bool SameBytes(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && !a.empty() &&
         std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace coracle::runtime
