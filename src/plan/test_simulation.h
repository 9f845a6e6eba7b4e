// An oracle for the validator's tests: runs a plan on a pool in which every float, or every byte
// where there are uint8 tensors, is the number of the value that it holds, in the worst order that
// the actions allow.
#pragma once

#include <string>

#include "graph/graph.h"
#include "plan/plan.h"

namespace coracle::plan {

/// `graph` is for one input, the plan for plan.batch. Empty if every read found the value that it
/// should, else what went wrong first.
std::string Simulate(const graph::Graph& graph, const Plan& plan);

}  // namespace coracle::plan
