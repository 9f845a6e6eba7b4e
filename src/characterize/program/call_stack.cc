#include "characterize/program/call_stack.h"

namespace coracle::characterize {
namespace {

bool IsPrefix(uint8_t byte) {
  switch (byte) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:  // notrack
    case 0x64:
    case 0x65:
    case 0x66:
    case 0x67:
    case 0xf2:  // bnd
    case 0xf3:  // rep
      return true;
    default:
      return byte >= 0x40 && byte <= 0x4f;  // REX
  }
}

}  // namespace

CallKind ClassifyCall(std::span<const uint8_t> instruction) {
  while (!instruction.empty() && IsPrefix(instruction[0])) instruction = instruction.subspan(1);
  if (instruction.empty()) return CallKind::kNone;
  switch (instruction[0]) {
    case 0xe8:
      return CallKind::kCall;
    case 0xff:
      // The operation is the middle field of the byte behind.
      return instruction.size() > 1 && (instruction[1] >> 3 & 7) == 2 ? CallKind::kCall
                                                                      : CallKind::kNone;
    case 0xc2:
    case 0xc3:
      return CallKind::kReturn;
    default:
      return CallKind::kNone;
  }
}

void CallStack::Call(uint64_t slot, uint64_t return_address) {
  Return(slot);
  if (frames_.size() == 2 * kDepthKept) {
    frames_.erase(frames_.begin(), frames_.begin() + kDepthKept);
  }
  frames_.push_back({slot, return_address});
}

}  // namespace coracle::characterize
