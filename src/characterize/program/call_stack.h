// CallStack: where a traced thread will return to, kept up from what its calls write and its
// returns read: QEMU's plugins see no registers.
//
// A call writes the address that follows it to the stack; the return that reads that slot ends it
// and all calls within it. So frames that a longjmp or an exception left are gone with the next
// call or return above them, and a handler's frames with the handler.
// Threads: that thread alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace coracle::characterize {

/// What an instruction does to the stack of calls.
enum class CallKind : uint8_t { kNone, kCall, kReturn };

/// From the bytes of an x86-64 instruction: near calls (E8, FF /2) and near returns (C3, C2),
/// behind any legacy prefixes and REX. Intel's manual, volume 2, chapter 2 and CALL, RET.
CallKind ClassifyCall(std::span<const uint8_t> instruction);

class CallStack {
 public:
  /// Outer frames are forgotten where calls are nested deeper than twice this.
  static constexpr size_t kDepthKept = 256;

  void Call(uint64_t slot, uint64_t return_address);
  void Return(uint64_t slot) {
    while (!frames_.empty() && frames_.back().slot <= slot) frames_.pop_back();
  }

  struct Frame {
    uint64_t slot = 0;  ///< where the return address lies: lower is further in
    uint64_t return_address = 0;
  };
  /// Outermost first.
  std::span<const Frame> frames() const { return frames_; }

 private:
  std::vector<Frame> frames_;
};

}  // namespace coracle::characterize
