// DescribePlan: a plan as a table that a person reads, and as JSON, every buffer with its place,
// its life and its reason.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "cmd/support/console.h"
#include "graph/graph.h"
#include "plan/plan.h"

namespace coracle::cmd {

/// One row per step that does something; of a convoy, with how it goes through its inputs.
/// `measured_ms`, by step: measured beside predicted (empty: not measured).
std::string StepTable(const graph::Graph& graph, const plan::Plan& plan,
                      std::span<const double> measured_ms = {});

/// One entry per step that does something: form, layers, algorithms (by layer, see AlgorithmJson),
/// bands (of one input, or of all together), turns, weights, workers, bytes, opened_bytes,
/// spilled_bytes, predicted_ms (of all inputs) and, if measured, measured_ms.
Json StepsJson(const graph::Graph& graph, const plan::Plan& plan,
               std::span<const double> measured_ms = {});

/// Weight bytes that one prediction (of all inputs) opens in the step.
uint64_t OpenedBytes(const graph::Graph& graph, const plan::Plan& plan, const plan::Step& step);

/// One entry per range of the pool: name, kind, offset, bytes, first_step, last_step (inclusive,
/// counting the entries of StepsJson; -1: before them; their number: after them), why. As
/// PoolBuffers.
Json BuffersJson(const graph::Graph& graph, const plan::Plan& plan);

}  // namespace coracle::cmd
