// Keeps QEMU fast on AVX2 code.
//
// QEMU 7.2 moves guests' 256-bit registers with the host's and leaves the upper halves in use; its
// fused multiply-adds then go lane by lane through functions that mix SSE instructions with libm's
// VEX-encoded fmaf. Processors pay for each change between the two while upper halves are in use
// (Intel 64 and IA-32 Architectures Optimization Reference Manual, "Mixing AVX code with SSE
// code"): 250 ns a lane instead of 10 where this was measured. So each such instruction of the
// program begins with a vzeroupper of ours: between instructions QEMU keeps guests' registers in
// memory.
#pragma once

#include "characterize/tracer/qemu_plugin.h"

namespace coracle::characterize {

/// Requires: QEMU's translation lock, and a block that is being translated.
void CleanVectorsBefore(qemu_plugin_insn* instruction);

}  // namespace coracle::characterize
