// Ends the process when the pager cannot go on: one line on stderr, without libc.
#pragma once

#include <cstdint>
#include <span>

#include "emulator/pager/run_record.h"

namespace coracle::epc {

/// Exit code where the emulator itself cannot go on (as env(1) and timeout(1) have it).
inline constexpr int kRefusedExitCode = 125;

/// Writes `text`, cut to fit and zero-terminated.
void CopyText(std::span<char> to, const char* text);

/// One line of at most 255 characters, built without libc.
class Line {
 public:
  explicit Line(const char* text) { Add(text); }
  Line& Add(const char* text);
  Line& AddHex(uint64_t value);  ///< with 0x
  Line& AddNumber(uint64_t value);
  const char* text() const { return text_; }

 private:
  void AddDigits(uint64_t value, uint64_t base);

  char text_[256] = {};
  uint32_t length_ = 0;
};

/// Notes `line` and `state` in the record (null: nowhere), prints it and ends all threads at once.
[[noreturn]] void Die(RunRecord* record, RunState state, const char* line);

}  // namespace coracle::epc

/// A broken invariant of the pager: on in release too.
#define EPC_CHECK(expr)                                                   \
  (static_cast<bool>(expr)                                                \
       ? static_cast<void>(0)                                             \
       : ::coracle::epc::Die(nullptr, ::coracle::epc::RunState::kRefused, \
                             "epcrun: internal error: " #expr " does not hold"))
