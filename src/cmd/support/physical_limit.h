// The time below which a machine cannot compute a network (design: the engine's Limits).
#pragma once

#include <cstdint>

#include "graph/graph.h"
#include "runtime/measure_rates.h"

namespace coracle::cmd {

/// Multiply-adds of one prediction as the network is sealed: a Winograd convolution counts its
/// products (F(4x4): a quarter of the direct sum's), not its transforms. Layers that only move or
/// map values count nothing.
uint64_t ArithmeticOf(const graph::Graph& graph);

/// What one prediction asks of the machine.
struct PhysicalWork {
  uint64_t multiply_adds = 0;
  uint64_t opened_bytes = 0;  ///< of weights and spilled rows
};

/// Milliseconds: multiply-adds at the peak rate plus opened bytes at AES-GCM's (they share ports),
/// on `workers` cores; and no less than reading the ciphertext takes.
double LimitMs(const PhysicalWork& work, const runtime::MachinePeaks& peaks, double aead_gbps,
               uint32_t workers);

}  // namespace coracle::cmd
