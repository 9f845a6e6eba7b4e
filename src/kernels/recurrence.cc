#include "kernels/recurrence.h"

#include <algorithm>

#include "base/checked.h"

namespace coracle::kernels {

CellGeometry::CellGeometry(const graph::Recurrence& recurrence)
    : hidden(recurrence.hidden),
      padded(static_cast<uint32_t>(RoundUp(recurrence.hidden, kPanelGranule))),
      gates(graph::GateCount(recurrence.cell)),
      states(recurrence.cell == graph::CellKind::kLstm ? 2 : 1),
      constant_states(recurrence.initial == graph::InitialState::kConstant ? states : 0) {
  const uint32_t first = recurrence.cell == graph::CellKind::kGru ? 2 : gates;
  stages[0] = {0, first};
  stages[1] = {first, gates - first};
}

CellGeometry::Origin CellGeometry::OriginInStage(const Stage& stage, uint64_t at) const {
  const uint64_t columns = StageColumns(stage);
  const uint64_t panel = at / (uint64_t{kPanelChannels} * (hidden + 1));
  const uint64_t first_column = panel * kPanelChannels;
  const uint64_t width = std::min<uint64_t>(kPanelChannels, columns - first_column);
  const uint64_t inside = at - first_column * (hidden + 1);
  const uint64_t column = first_column + inside % width;
  const uint64_t row = inside / width;  // 0: the bias
  const uint64_t unit = column % padded;
  if (unit >= hidden) return {};
  const uint64_t sum = (stage.first_gate + column / padded) * hidden + unit;
  if (row == 0) return {Origin::kBias, sum};
  return {Origin::kWeight, sum * hidden + row - 1};
}

CellGeometry::Origin CellGeometry::OriginOf(uint64_t at) const {
  for (const Stage& stage : stages) {
    if (at < StageFloats(stage)) return OriginInStage(stage, at);
    at -= StageFloats(stage);
  }
  const uint64_t unit = at % padded;
  if (unit >= hidden) return {};
  return {Origin::kState, at / padded * hidden + unit};
}

uint64_t RecurrenceWorkspaceBytes(const graph::Node& node) {
  const CellGeometry cell(std::get<graph::Recurrence>(node.attrs));
  // The gates' sums and r h of each sequence; the zeros that a first step reads.
  const uint64_t rows = uint64_t{kRecurrenceImages} * (cell.gates + 1) + 1;
  return rows * cell.padded * sizeof(float);
}

}  // namespace coracle::kernels
