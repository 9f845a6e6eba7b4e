// What the Attention kernels need beside operands and mask.
#pragma once

#include <cstdint>

#include "graph/graph.h"

namespace coracle::kernels {

/// Queries whose scores exist at a time.
inline constexpr uint32_t kAttentionQueries = 24;

/// Floats of a packed matrix: its columns rounded up to whole vectors of any machine.
uint64_t AttentionKeyFloats(uint32_t columns, uint32_t rows);
/// Floats from one query's scores to the next's: rows a multiple of 4 KiB apart would compete for
/// the same places in the cache.
uint64_t AttentionScoreStride(uint32_t tokens);
/// Workspace: one head's keys and values, packed, and the scores of kAttentionQueries queries.
uint64_t AttentionWorkspaceBytes(const graph::Graph& graph, const graph::Node& node);

}  // namespace coracle::kernels
