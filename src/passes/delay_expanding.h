// Order of independent branches: what makes much out of little is computed late.
#pragma once

#include "graph/graph.h"

namespace coracle::passes {

/// Moves every node whose output is larger than its operands (an upsampling, a projection) to just
/// before its first consumer, so that the small operands wait in memory instead of the large
/// result. The order of the other nodes stays. A network without branches is unchanged. Any stage.
void DelayExpandingNodes(graph::Graph& graph);

}  // namespace coracle::passes
