// A region of memory of which few pages are present, and the pieces of which swaps are made: each
// way of paging (swap_paths.h) puts them together in its own fashion.
//
// Threads: one at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "crypto/aead.h"

namespace coracle::bench {

inline constexpr uint64_t kPageBytes = 4096;
inline constexpr uint32_t kBatchMax = 16;

/// Ticks of the time-stamp counter that parts of swaps took.
struct SwapTicks {
  uint64_t crypto = 0;
  uint64_t mapping = 0;
};

/// How pages go and come.
enum class Moves : uint8_t {
  kCopy,    ///< out: UFFDIO_WRITEPROTECT, seal, MADV_DONTNEED; in: UFFDIO_COPY
  kMove,    ///< out: UFFDIO_MOVE, seal; in: open, UFFDIO_MOVE of the same frame
  kProtect  ///< out: mprotect, seal, MADV_DONTNEED; in: mprotect, open in place
};

class SwapMemory {
 public:
  /// `userfault`: a userfaultfd; -1: none (kProtect).
  SwapMemory(int userfault, Moves moves, uint32_t batch, uint64_t pages, uint64_t limit_pages);
  ~SwapMemory();
  SwapMemory(const SwapMemory&) = delete;
  SwapMemory& operator=(const SwapMemory&) = delete;

  std::byte* page(uint64_t index) const { return region_ + index * kPageBytes; }
  bool Contains(const void* address) const;
  /// Serves a fault: evicts what must go, and makes the page present.
  void Serve(const void* address);
  SwapTicks& ticks() { return ticks_; }

 private:
  struct Sealed {
    bool there = false;
    uint64_t version = 0;
    crypto::Tag tag{};
  };

  uint64_t IndexOf(const std::byte* page) const {
    return static_cast<uint64_t>(page - region_) / kPageBytes;
  }
  void Evict();
  void Seal(const std::byte* plaintext, uint64_t index);
  void Open(uint64_t index, std::byte* plaintext);
  void Load(uint64_t index);
  void LoadByMove(uint64_t index);

  int userfault_;
  Moves moves_;
  uint32_t batch_;
  uint64_t pages_;
  uint64_t limit_pages_;
  std::byte* region_ = nullptr;
  std::byte* store_ = nullptr;
  std::byte* frames_ = nullptr;  ///< kBatchMax pages of staging, then one of buffer
  uint32_t free_frames_ = 0;
  std::unique_ptr<crypto::Aead> aead_;
  std::vector<Sealed> sealed_;
  std::vector<uint64_t> present_;  ///< a ring, oldest first
  uint64_t oldest_ = 0;
  uint64_t present_count_ = 0;
  uint64_t version_ = 0;
  SwapTicks ticks_;
};

/// A userfaultfd: with_signals answers missing pages with SIGBUS. -1: refused. *has_move: whether
/// it knows UFFDIO_MOVE.
int OpenUserFault(bool with_signals, bool* has_move);

}  // namespace coracle::bench
