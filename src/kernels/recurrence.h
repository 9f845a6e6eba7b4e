// How a Recurrence's weights lie in its constant block, and what its kernels need beside it.
//
// A cell's sums are cut into stages: all gates at once, but for a kGru, whose candidate multiplies
// what the gate r has let through: z and r, then n. Columns of a stage: per gate its hidden units,
// rounded up to 16 (extra columns zero). They are stored in panels of 64 columns, the last one as
// wide as what is left: bias[width], then `hidden` rows of `width` weights. Behind the stages, with
// InitialState::kConstant: h, and of an LSTM c, each rounded up to 16 floats.
#pragma once

#include <cstdint>

#include "graph/graph.h"
#include "kernels/packing.h"

namespace coracle::kernels {

/// Sequences that the kernel multiplies side by side, so that they share what it reads of weights.
inline constexpr uint32_t kRecurrenceImages = 4;

/// The sizes of one cell. A value.
struct CellGeometry {
  explicit CellGeometry(const graph::Recurrence& recurrence);

  struct Stage {
    uint32_t first_gate = 0;
    uint32_t gates = 0;
  };

  uint32_t StageColumns(const Stage& stage) const { return stage.gates * padded; }
  uint64_t StageFloats(const Stage& stage) const {
    return uint64_t{StageColumns(stage)} * (hidden + 1);
  }
  /// Floats before stages[1], or before the initial state if there is none.
  uint64_t StateOffset() const { return StageFloats(stages[0]) + StageFloats(stages[1]); }
  uint64_t BlockFloats() const { return StateOffset() + uint64_t{constant_states} * padded; }

  /// What a float of the block is a copy of: an element of the bias, of R or of the initial state.
  struct Origin {
    enum Kind : uint8_t { kPadding, kBias, kWeight, kState };
    Kind kind = kPadding;
    uint64_t index = 0;
  };
  /// Requires: `at` < BlockFloats().
  Origin OriginOf(uint64_t at) const;

  uint32_t hidden = 0;
  uint32_t padded = 0;  ///< hidden rounded up to 16
  uint32_t gates = 0;
  uint32_t states = 1;           ///< 2: h and c
  uint32_t constant_states = 0;  ///< of them in the block
  Stage stages[2];               ///< the second may have no gates

 private:
  Origin OriginInStage(const Stage& stage, uint64_t at) const;
};

/// Workspace of either kernel set; multiple of 64.
uint64_t RecurrenceWorkspaceBytes(const graph::Node& node);

}  // namespace coracle::kernels
