// UserFault: userfaultfd(2), in the mode that answers missing pages with SIGBUS.
//
// Results are 0 or -errno, of a call of several pages: what the kernel says at the first page that
// it refuses. Threads: any.
#pragma once

#include <cstdint>

#include "emulator/pager/pager.h"

namespace coracle::epc {

class UserFault {
 public:
  /// Opens it, with UFFDIO_MOVE where the kernel has it (6.8).
  long Open();
  /// A fork's child closes what it inherits at once: it stands for the parent's memory.
  void Close();

  long Register(Range range) const;
  long Unregister(Range range) const;
  /// A private copy of `bytes` from `from` at `to`, where nothing is. `done` counts whole pages'
  /// bytes.
  long Copy(uintptr_t to, const void* from, uint64_t bytes, uint64_t& done) const;
  /// Moves present pages, frames and all. Both sides readable, writable and anonymous; the pages
  /// not shared since a fork.
  long Move(uintptr_t to, uintptr_t from, uint64_t bytes, uint64_t& done) const;
  long WriteProtect(Range range, bool on) const;

  bool has_move() const { return has_move_; }
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_ = -1;
  bool has_move_ = false;
};

/// Moves a descriptor out of the program's way. The same if there is no room up there.
int RaiseDescriptor(int descriptor);

}  // namespace coracle::epc
