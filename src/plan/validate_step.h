// The validator's view of one step by itself: is it a legal way to compute its node, are its ranges
// large enough, and does its output leave its operands readable?
#pragma once

#include <string_view>

#include "base/result.h"
#include "graph/graph.h"
#include "plan/plan.h"
#include "plan/validate_regions.h"

namespace coracle::plan {

Error StepError(const graph::Node& node, std::string_view what);

/// The bytes of a tensor whose placement RegionOf() has accepted.
Region PlacedRegion(const graph::Graph& graph, const Plan& plan, graph::TensorIndex tensor);

/// Form, weights, split, workers and the sizes of slots, held weights and workspaces. Requires: the
/// step is not elided; plan.placements has been checked.
Status CheckStep(const graph::Graph& graph, const Plan& plan, const Step& step);

/// An elided step's output lies where its inputs already are. Requires: as CheckStep.
Status CheckElision(const graph::Graph& graph, const Plan& plan, const Step& step);

/// No operand is overwritten before its last read: apart from the output, exactly in place where
/// the kernel allows, or, in bands, out of reach of the rows still needed.
Status CheckOperands(const graph::Graph& graph, const Plan& plan, const Step& step);

}  // namespace coracle::plan
