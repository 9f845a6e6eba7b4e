// ThreadRecorder: what one thread does, access by access: merged into runs for the analysis, and
// classified by the pattern in which each instruction walks. It is on the path of each access that
// the program makes, hence in a header and without a lock.
// Threads: that thread alone; others while it stands still.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "characterize/program/access_run.h"
#include "characterize/program/trace_names.h"

namespace coracle::characterize {

enum class AccessKind : uint8_t { kRead, kWrite };

/// How an access relates to the previous one of the same instruction.
enum class Pattern : uint8_t {
  kRepeated,    ///< the same address
  kSequential,  ///< the bytes that follow, or a constant step of at most a line
  kStrided,     ///< a constant step of more than a line
  kIrregular    ///< none of these; an instruction's first
};
inline constexpr size_t kPatternCount = 4;
using PatternCounts = std::array<uint64_t, kPatternCount>;

/// An instruction's walk so far. Vector accesses arrive in pieces that follow one another: a step
/// is from the start of one such sequence to that of the next.
struct Walk {
  uint64_t start = 0;
  uint64_t next = 0;
  int64_t step = 0;

  Pattern Classify(uint64_t address, uint32_t bytes) {
    if (address == next) {
      next = address + bytes;
      return Pattern::kSequential;
    }
    const auto moved = static_cast<int64_t>(address - start);
    next = address + bytes;
    if (moved == 0) return Pattern::kRepeated;
    const bool constant = moved == step;
    step = moved;
    start = address;
    if (!constant) return Pattern::kIrregular;
    return moved <= kLineBytes && moved >= -int64_t{kLineBytes} ? Pattern::kSequential
                                                                : Pattern::kStrided;
  }
};

class ThreadRecorder {
 public:
  static constexpr size_t kRuns = 4096;

  /// Records an access by the instruction numbered `site`, of a function. True: the runs must be
  /// taken (Take) before the next one.
  bool Record(uint32_t site, FunctionIndex function, uint64_t address, uint32_t bytes,
              AccessKind kind) {
    if (site >= walks_.size()) walks_.resize(site + size_t{site} / 2 + 1024);
    ++patterns_[static_cast<size_t>(walks_[site].Classify(address, bytes))];
    const uint64_t line = address >> kLineShift;
    const auto within = static_cast<uint32_t>(address & (kLineBytes - 1));
    if (within + bytes <= kLineBytes) {
      Extend(line, function, bytes, kind);
    } else {
      // One access, although it touches two lines.
      Extend(line, function, kLineBytes - within, kind);
      Extend(line + 1, function, within + bytes - kLineBytes, kind);
      ++split_;
    }
    return count_ + 2 > kRuns;
  }

  /// The runs since the last Take; they stay until the next Record.
  std::span<const AccessRun> Take() {
    const std::span<const AccessRun> taken(runs_.data(), count_);
    count_ = 0;
    return taken;
  }
  const PatternCounts& patterns() const { return patterns_; }
  /// Accesses that touched two lines, each counted as one in both.
  uint64_t split() const { return split_; }

 private:
  static constexpr uint32_t kRunBytesMax = 60000;

  void Extend(uint64_t line, FunctionIndex function, uint32_t bytes, AccessKind kind) {
    AccessRun* run = count_ == 0 ? nullptr : &runs_[count_ - 1];
    if (run == nullptr || run->line != line || run->read_bytes > kRunBytesMax ||
        run->written_bytes > kRunBytesMax) {
      run = &runs_[count_++];
      *run = {line, 0, 0, 0, 0, function};
    }
    if (kind == AccessKind::kRead) {
      run->reads = static_cast<uint16_t>(run->reads + 1);
      run->read_bytes = static_cast<uint16_t>(run->read_bytes + bytes);
    } else {
      run->writes = static_cast<uint16_t>(run->writes + 1);
      run->written_bytes = static_cast<uint16_t>(run->written_bytes + bytes);
    }
  }

  std::array<AccessRun, kRuns> runs_;
  size_t count_ = 0;
  PatternCounts patterns_ = {};
  uint64_t split_ = 0;
  std::vector<Walk> walks_;  ///< by instruction
};

}  // namespace coracle::characterize
