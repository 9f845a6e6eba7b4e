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

  /// In pieces that end anywhere, so that blocks are touched again and again.
  void Feed(Session& session) const {
    for (uint32_t input = 0; input < graph().inputs.size(); ++input) {
      const std::vector<float> values = TestInput(graph().inputs[input].shape.Elements());
      for (size_t first = 0; first < values.size(); first += 577) {
        const size_t count = std::min<size_t>(577, values.size() - first);
        session.WriteInput(input, first, std::span(values).subspan(first, count));
      }
    }
  }

  /// All outputs, one behind the other.
  std::vector<float> Answer(const Session& session) const {
    std::vector<float> all;
    for (uint32_t output = 0; output < graph().outputs.size(); ++output) {
      std::vector<float> values(graph().outputs[output].shape.Elements());
      const size_t half = values.size() / 3;
      EXPECT_TRUE(session.ReadOutput(output, 0, std::span(values).first(half)).ok());
      EXPECT_TRUE(session.ReadOutput(output, half, std::span(values).subspan(half)).ok());
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }

  std::vector<float> Predict(const plan::Plan& plan) {
    const auto session = Start(plan);
    if (session == nullptr) return {};
    Feed(*session);
    const Status done = session->Run();
    EXPECT_TRUE(done.ok()) << (done.ok() ? "" : done.error().message);
    return done.ok() ? Answer(*session) : std::vector<float>();
  }

  /// Layer by layer, everything in the pool; the planner has no part in it.
  std::vector<float> Truth() {
    plan::CascadeOptions options;
    for (uint32_t node = 1; node < graph().nodes.size(); ++node) options.cuts.push_back(node);
    options.rows_per_action = UINT32_MAX;
    options.weights = plan::WeightsMode::kHeld;
    const std::vector<float> truth = Predict(plan::MakeCascadePlan(graph(), options));
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
