// What a model and its runners take of secure memory, counted from what they are made of.
//
// Sums over the containers, each block as malloc rounds it, so that leases can be taken before
// anything is allocated. They are bounds from above: secure_bytes_test.cc holds them against the
// heap. Not in them: pages that malloc's arenas touch and leave unused, and the stacks of the
// threads that call (measured under epcrun with ResNet-50: 0.2 to 0.5 MiB for each runner that is
// kept); a process leaves room for these beside its budget.
#pragma once

#include <cstdint>

#include "graph/graph.h"
#include "plan/plan.h"
#include "seal/model.h"

namespace coracle::serve {

/// Tensors, nodes, ports and chunk descriptors.
uint64_t GraphBytes(const graph::Graph& graph);

/// An open model: its graph, the table of its chunks' tags, its texts.
uint64_t ManifestBytes(const seal::Manifest& manifest);

/// A plan in memory; not the pool that it describes.
uint64_t PlanBytes(const plan::Plan& plan);

/// A session that runs `plan`: the pool, its own plan, the tables that this is bound to (of a
/// convoy also the graph of all inputs), keys, and the workers' whole stacks. `graph`: of one
/// input.
uint64_t RunnerBytes(const graph::Graph& graph, const plan::Plan& plan);

}  // namespace coracle::serve
