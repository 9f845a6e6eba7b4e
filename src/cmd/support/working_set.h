// WorkingSet: what a prediction keeps touching beside its pool. A secure memory of the pool and
// this much holds all that predictions need again and again; less, and every one of them pages.
#pragma once

#include <cstdint>
#include <optional>

namespace coracle::cmd {

/// Measured between construction and Bytes(), by the processor's own accessed bits: the bits are
/// cleared, the program runs, and the kernel is asked which pages were reached
/// (/proc/self/clear_refs, "Referenced" in /proc/self/smaps).
///
/// Counted are pages of this process that would lie in secure memory:
///  - private anonymous memory (heap, stacks, sessions' tables), where it was touched;
///  - private file mappings: all of the writable ones (.data), and every page of the others that
///    has been written to (relocated constants), touched or not. userfaultfd takes no such pages,
///    so that epcrun may have to keep them present.
/// Not counted: pools (memory reserved from host::PosixMemory, which the budget covers), code and
/// other unwritten pages of files, shared memory (sealed rows and sealed models: the host's).
///
/// One at a time in a process: the bits are the process's. Costs about a millisecond.
class WorkingSet {
 public:
  /// The figure is to serve for another run, whose heap and stacks begin elsewhere (address space
  /// randomisation): the same objects may then lie across a few pages more. And where it is exact,
  /// a first-in, first-out memory takes a turn through all of the pool to get rid of the last few
  /// pages that nothing needs any more.
  static constexpr uint64_t kOtherRunsBytes = uint64_t{128} * 1024;

  WorkingSet();
  /// Touched since construction, in whole pages beside a pool of `pool_bytes` (the rest of its last
  /// page counts here), and kOtherRunsBytes. Nothing where the kernel does not tell
  /// (CONFIG_PROC_PAGE_MONITOR).
  std::optional<uint64_t> Bytes(uint64_t pool_bytes) const;

 private:
  bool cleared_ = false;
};

}  // namespace coracle::cmd
