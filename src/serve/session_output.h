// SessionOutput: one input's share of what a session's convoy put out.
#pragma once

#include <cstdint>
#include <span>

#include "base/check.h"
#include "graph/graph.h"
#include "runtime/session.h"
#include "serve/served_model.h"

namespace coracle::serve {

/// The outputs of all inputs of a convoy lie one behind the other. `session` and `graph` (for one
/// input) outlive it.
class SessionOutput final : public OutputSource {
 public:
  SessionOutput(const runtime::Session& session, const graph::Graph& graph, uint32_t turn)
      : session_(session), graph_(graph), turn_(turn) {}

  Status Read(uint32_t output, uint64_t first, std::span<float> values) const override {
    const uint64_t elements = graph_.outputs.at(output).shape.Elements();
    CORACLE_CHECK(first <= elements && values.size() <= elements - first);
    return session_.ReadOutput(output, turn_ * elements + first, values);
  }

  bool prefers_rows(uint32_t output) const override {
    const graph::TensorIndex tensor = graph_.outputs.at(output).tensor;
    return session_.plan().tensors.at(Position(tensor)).home == plan::Home::kOutside;
  }

 private:
  const runtime::Session& session_;
  const graph::Graph& graph_;
  uint32_t turn_;
};

}  // namespace coracle::serve
