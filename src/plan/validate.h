// The validator: replays a plan symbolically and trusts nothing in it. Shares no code with the
// planner.
#pragma once

#include "base/result.h"
#include "graph/graph.h"
#include "plan/plan.h"

namespace coracle::plan {

/// Checks that no live buffers overlap, every read was written and not overwritten since, every row
/// is computed and every block sealed once, every ring holds the rows that are read from it, slots,
/// weights, workspaces, counters and staging are large enough and collide with nothing, and nothing
/// leaves the pool or the budget. Run by the enclave before each new plan is used. Requires: a
/// verified graph (for one input; the plan says how many there are). Errors: kMalformed naming step
/// and tensor; as graph::WithBatch().
Status Validate(const graph::Graph& graph, const Plan& plan);

}  // namespace coracle::plan
