// TraceNotes: what a traced program tells of itself (base/trace_note.h), read and handed on.
//
// The program's addresses are the tracer's own; what lies there is copied once, with bounds, and
// checked: nothing that a program says can harm the tracer. What makes no sense is left out.
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/trace_note.h"
#include "characterize/analysis/findings.h"
#include "characterize/analysis/system_call_log.h"
#include "characterize/analysis/trace_analysis.h"
#include "characterize/program/trace_names.h"

namespace coracle::characterize {

class TraceNotes {
 public:
  static constexpr uint64_t kRegionsMax = 1 << 16;
  static constexpr size_t kNameBytesMax = 255;  ///< longer ones are cut

  /// Whether `call` is such a note, and no call of the kernel's.
  static bool IsNote(const SystemCall& call);
  /// Whether it tells of an allocation: Take wants to know where it was asked for.
  static bool NeedsPath(const SystemCall& note);

  /// Whether it names a function: who knows functions takes it instead (a: its address, b: of its
  /// name).
  static bool NamesFunction(const SystemCall& note);

  /// Requires: IsNote(note).
  void Take(const SystemCall& note, CallPathIndex path, TraceAnalysis& analysis);
  /// What was allocated before counts no longer.
  void Restart() { small_before_ = ReadSmall(); }

  /// Whether the program tells of its allocations.
  bool allocations_followed() const { return small_address_ != 0; }
  /// "small_allocations", while the program's memory is there. Nothing that was not told.
  Json SmallAllocationsJson() const;

 private:
  TraceSmallAllocations ReadSmall() const;

  uint64_t small_address_ = 0;
  TraceSmallAllocations small_before_;
};

}  // namespace coracle::characterize
