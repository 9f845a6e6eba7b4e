// VectorReader: an iovec of the program, taken piece by piece.
//
// The array is held by the caller; a change that another thread makes to it meanwhile is the
// program's own affair. Threads: one.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

namespace coracle::epc {

class VectorReader {
 public:
  /// `vectors`: the array's address, of `count` entries.
  VectorReader(uintptr_t vectors, uint64_t count) : at_(vectors), count_(count) {}

  /// Bytes of all entries. -EFAULT: the array is not to be read. -EINVAL: more than IOV_MAX entries
  /// or SSIZE_MAX bytes, as the kernel says.
  long TotalBytes() const;
  /// Fills `piece` with entries of up to `most` bytes, `bytes` in all, from the current position.
  /// How many entries; -EFAULT.
  long Fill(std::span<iovec> piece, uint64_t most, uint64_t& bytes) const;
  /// Moves on by `bytes`.
  void Skip(uint64_t bytes);

 private:
  uintptr_t at_;
  uint64_t count_;
  uint64_t skip_ = 0;  ///< bytes of the first entry that are done
};

}  // namespace coracle::epc
