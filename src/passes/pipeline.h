// The order of the passes: from an importer's graph to one that can be packed and sealed.
#pragma once

#include "base/result.h"
#include "graph/graph.h"

namespace coracle::passes {

/// Rewrites a kLogical graph until nothing changes; verifies after each pass. Weights are not
/// copied. Errors: kMalformed naming the pass, if `graph` is not well formed.
Status RunPasses(graph::Graph& graph);

/// The kRows graph that computes the same: channels last, Transposes only where an operator needs
/// one, per-channel constants as Affine, each graph input and output in the layout its port states.
/// Errors: kUnsupported, kMalformed.
Result<graph::Graph> LowerToRows(const graph::Graph& logical);

}  // namespace coracle::passes
