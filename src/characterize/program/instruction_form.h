// What can be told of an x86-64 instruction by its first bytes.
#pragma once

#include <cstdint>
#include <span>

namespace coracle::characterize {

/// VFMADD, VFMSUB and their kin (FMA3), which are VEX-encoded: opcodes 96 to 9F, A6 to AF and B6 to
/// BF of map 0F38. Intel's manual, volume 2, appendix A and VFMADD132PD.
bool IsFusedMultiplyAdd(std::span<const uint8_t> instruction);

}  // namespace coracle::characterize
