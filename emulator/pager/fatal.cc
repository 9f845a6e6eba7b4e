#include "emulator/pager/fatal.h"

#include "emulator/pager/raw_syscall.h"

namespace coracle::epc {
namespace {

uint64_t LengthOf(const char* text, uint64_t most) {
  uint64_t length = 0;
  while (length < most && text[length] != 0) ++length;
  return length;
}

}  // namespace

void CopyText(std::span<char> to, const char* text) {
  if (to.empty()) return;
  const uint64_t length = LengthOf(text, to.size() - 1);
  for (uint64_t i = 0; i < length; ++i) to[i] = text[i];
  to[length] = 0;
}

Line& Line::Add(const char* text) {
  CopyText(std::span(text_).subspan(length_), text);
  length_ += static_cast<uint32_t>(LengthOf(text_ + length_, sizeof(text_) - length_));
  return *this;
}

void Line::AddDigits(uint64_t value, uint64_t base) {
  char digits[24];
  uint32_t at = sizeof(digits) - 1;
  digits[at] = 0;
  do {
    digits[--at] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  Add(digits + at);
}

Line& Line::AddHex(uint64_t value) {
  Add("0x");
  AddDigits(value, 16);
  return *this;
}

Line& Line::AddNumber(uint64_t value) {
  AddDigits(value, 10);
  return *this;
}

void Die(RunRecord* record, RunState state, const char* line) {
  if (record != nullptr) {
    CopyText(record->complaint, line);
    record->state.store(state, std::memory_order_release);
  }
  // One call for the whole line, so that it stays whole beside what other processes print.
  char whole[300];
  CopyText(std::span(whole).first(sizeof(whole) - 1), line);
  const uint64_t length = LengthOf(whole, sizeof(whole) - 1);
  whole[length] = '\n';
  RawCall(SYS_write, 2, AsLong(whole), AsLong(length + 1));
  const int code = state == RunState::kTampered ? kTamperedExitCode : kRefusedExitCode;
  for (;;) RawCall(SYS_exit_group, code);
}

}  // namespace coracle::epc
