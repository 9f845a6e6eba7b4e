#include "emulator/preload/holding.h"

#include <linux/filter.h>

#include <cerrno>

#include "emulator/preload/program_memory.h"

namespace coracle::epc {
namespace {

/// Entries of arrays are read so many at a time.
constexpr uint64_t kChunk = 16;

}  // namespace

HoldOutcome HeldArguments::HoldAll(const SystemCall& entry) { return HoldAllBut(entry, -1); }

HoldOutcome HeldArguments::HoldAllBut(const SystemCall& entry, int except) {
  for (int i = 0; i < 6; ++i) {
    if (i == except) continue;
    // What is mapped nowhere is the kernel's to refuse; it may not even look there.
    if (One(entry.arguments[i], i) == HoldOutcome::kTooLarge) return HoldOutcome::kTooLarge;
  }
  return HoldOutcome::kHeld;
}

HoldOutcome HeldArguments::One(const Argument& argument, int index) {
  const uintptr_t at = call_.address(index);
  if (argument.reach == Reach::kNone || at == 0) return HoldOutcome::kHeld;
  const uint64_t other = call_.address(argument.other);
  switch (argument.reach) {
    case Reach::kNone:
      return HoldOutcome::kHeld;
    case Reach::kFixed:
      return Bytes(at, argument.bytes);
    case Reach::kOf:
      return Bytes(at, other + argument.bytes);
    case Reach::kItems:
      return Bytes(at, (other & UINT32_MAX) * argument.bytes);
    case Reach::kLengthAt: {
      uint32_t bytes = 0;
      const HoldOutcome length = Bytes(other, sizeof bytes);
      if (length != HoldOutcome::kHeld || !PeekValue(other, bytes)) return HoldOutcome::kNotMapped;
      return Bytes(at, bytes);
    }
    case Reach::kPages:
      return Bytes(at, (other + kPageBytes - 1) / kPageBytes);
    case Reach::kBits:
      return Bytes(at, ((other & INT32_MAX) + 63) / 64 * sizeof(uint64_t));
    case Reach::kString:
      return String(at);
    case Reach::kVectors:
      return Vectors(at, other);
    case Reach::kMessage:
      return Message(at);
    case Reach::kMessages:
      return Messages(at, other & UINT32_MAX);
    case Reach::kSet:
      return CopySet(index);
    case Reach::kMask:
      sets_mask_ = true;
      return CopySet(index);
    case Reach::kMaskAt:
      return CopyMaskAt(index);
    case Reach::kProgram:
      return Filter(at);
    case Reach::kUnknown:
      return Bytes(at, kUnknownBytes);
  }
  return HoldOutcome::kHeld;
}

HoldOutcome HeldArguments::Vectors(uintptr_t vectors, uint64_t count) {
  if (count > 1024) return HoldOutcome::kNotMapped;  // IOV_MAX: the kernel refuses
  HoldOutcome outcome = Bytes(vectors, count * sizeof(iovec));
  iovec chunk[kChunk];
  for (uint64_t i = 0; i < count && outcome == HoldOutcome::kHeld; ++i) {
    if (i % kChunk == 0) {
      const uint64_t here = count - i < kChunk ? count - i : kChunk;
      const auto bytes = std::as_writable_bytes(std::span(chunk, here));
      if (!PeekProgram(vectors + i * sizeof(iovec), bytes)) return HoldOutcome::kNotMapped;
    }
    const iovec& vector = chunk[i % kChunk];
    outcome = Bytes(reinterpret_cast<uintptr_t>(vector.iov_base), vector.iov_len);
  }
  return outcome;
}

HoldOutcome HeldArguments::Message(uintptr_t message) {
  msghdr head;
  if (Bytes(message, sizeof head) != HoldOutcome::kHeld || !PeekValue(message, head)) {
    return HoldOutcome::kNotMapped;
  }
  for (const HoldOutcome outcome :
       {Bytes(reinterpret_cast<uintptr_t>(head.msg_name), head.msg_namelen),
        Bytes(reinterpret_cast<uintptr_t>(head.msg_control), head.msg_controllen)}) {
    if (outcome == HoldOutcome::kTooLarge) return outcome;
  }
  return Vectors(reinterpret_cast<uintptr_t>(head.msg_iov), head.msg_iovlen);
}

HoldOutcome HeldArguments::Messages(uintptr_t messages, uint64_t count) {
  if (count > 1024) count = 1024;  // the kernel takes no more (UIO_MAXIOV)
  HoldOutcome outcome = Bytes(messages, count * sizeof(mmsghdr));
  for (uint64_t i = 0; i < count && outcome == HoldOutcome::kHeld; ++i) {
    outcome = Message(messages + i * sizeof(mmsghdr));
  }
  return outcome;
}

HoldOutcome HeldArguments::Filter(uintptr_t program) {
  sock_fprog head = {};
  if (program == 0) return HoldOutcome::kHeld;
  const HoldOutcome outcome = Bytes(program, sizeof head);
  if (outcome != HoldOutcome::kHeld || !PeekValue(program, head)) return HoldOutcome::kNotMapped;
  return Bytes(reinterpret_cast<uintptr_t>(head.filter), head.len * sizeof(sock_filter));
}

HoldOutcome HeldArguments::CopySet(int index) {
  const uintptr_t at = call_.address(index);
  if (Bytes(at, sizeof set_) != HoldOutcome::kHeld || !PeekValue(at, set_)) {
    return HoldOutcome::kNotMapped;
  }
  set_ &= ~kOurSignals;
  arguments_[index] = reinterpret_cast<long>(&set_);
  return HoldOutcome::kHeld;
}

HoldOutcome HeldArguments::CopyMaskAt(int index) {
  const uintptr_t at = call_.address(index);
  if (Bytes(at, sizeof mask_at_) != HoldOutcome::kHeld || !PeekValue(at, mask_at_)) {
    return HoldOutcome::kNotMapped;
  }
  if (mask_at_.set == 0) return HoldOutcome::kHeld;
  if (Bytes(mask_at_.set, sizeof set_) != HoldOutcome::kHeld || !PeekValue(mask_at_.set, set_)) {
    return HoldOutcome::kNotMapped;
  }
  set_ &= ~kOurSignals;
  mask_at_.set = reinterpret_cast<uintptr_t>(&set_);
  arguments_[index] = reinterpret_cast<long>(&mask_at_);
  sets_mask_ = true;
  return HoldOutcome::kHeld;
}

long RefusedHold(const Call& call, HoldOutcome outcome) {
  if (outcome == HoldOutcome::kNotMapped) return -EFAULT;
  if (call.process.FirstTime(Remark::kDoesNotFit)) {
    const SystemCall* const entry = FindSystemCall(call.number);
    Line line("epcrun: ");
    line.Add(entry != nullptr ? entry->name : "a system call");
    line.Add(": what it reaches does not fit the EPC at once, so it fails with ENOMEM");
    Say(line.Add("; a larger --size helps"));
  }
  return -ENOMEM;
}

long HoldAndPerform(Call& call, HeldArguments& held, const SystemCall& entry) {
  const HoldOutcome outcome = held.HoldAll(entry);
  if (outcome != HoldOutcome::kHeld) return RefusedHold(call, outcome);
  const bool quick = entry.treatment == Treatment::kQuick;
  return Perform(call, held.arguments(), quick ? During::kBlocked : held.during());
}

long PerformHeld(const Call& call, HeldArguments& held, HoldOutcome outcome) {
  if (outcome == HoldOutcome::kTooLarge) return RefusedHold(call, outcome);
  return Perform(call, held.arguments(), held.during());
}

long PerformUncertain(const Call& call, HeldArguments& held) {
  const long result = Perform(call, held.arguments(), held.during());
  if (result == -EFAULT && call.process.FirstTime(Remark::kPerhapsUnknown)) {
    Line line("epcrun: system call ");
    line.AddNumber(static_cast<uint64_t>(call.number)).Add(" (second argument ");
    line.AddHex(call.address(1)).Add(") fails with EFAULT: it may reach memory in a way that ");
    Say(line.Add("epcrun does not know"));
  }
  return result;
}

}  // namespace coracle::epc
