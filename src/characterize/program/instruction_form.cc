#include "characterize/program/instruction_form.h"

#include <cstddef>

namespace coracle::characterize {
namespace {

constexpr uint8_t kVex3 = 0xc4;
constexpr uint8_t kMapMask = 0x1f;
constexpr uint8_t kMap0f38 = 2;

}  // namespace

bool IsFusedMultiplyAdd(std::span<const uint8_t> instruction) {
  constexpr size_t kOpcodeAt = 3;
  if (instruction.size() <= kOpcodeAt || instruction[0] != kVex3) return false;
  if ((instruction[1] & kMapMask) != kMap0f38) return false;
  const uint8_t opcode = instruction[kOpcodeAt];
  return opcode >= 0x90 && opcode <= 0xbf && (opcode & 0x0f) >= 6;
}

}  // namespace coracle::characterize
