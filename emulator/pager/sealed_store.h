// SealedStore: evicted pages, sealed, in memory that stands for the host's.
//
// AES-256-GCM under a key made for this process. Nonce: the number of the eviction, 64 bits,
// little-endian, then four zeros; it never repeats under one key. Associated data: the page's
// address, 64 bits, little-endian. The store's bytes are the host's and may be changed by anyone at
// any time; key, numbers and tags are not in it.
// Threads: under the pager's lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "crypto/aead.h"
#include "emulator/pager/page_table.h"

namespace coracle::epc {

class SealedStore {
 public:
  /// Null: done. Else what went wrong, a literal.
  const char* Init();
  void Free();

  /// Seals a page into a free slot: `page` becomes kSealed, at `page.address`. False: the store is
  /// full.
  [[nodiscard]] bool Seal(const std::byte* plaintext, PageRecord& page);
  /// Opens a sealed page into `plaintext` (a page that no other thread reads yet). False: it is not
  /// what was sealed. The slot stays taken.
  [[nodiscard]] bool Open(const PageRecord& page, std::byte* plaintext);
  /// Frees the slot of a sealed page.
  void Forget(const PageRecord& page) { free_slots_[free_count_++] = page.slot; }

  /// How many pages were sealed so far: the version of the last.
  uint64_t evictions() const { return version_; }
  /// All slots that were ever taken.
  std::span<std::byte> bytes() { return {slots_, used_count_ * kPageBytes}; }

 private:
  std::unique_ptr<crypto::Aead> aead_;
  std::byte* key_memory_ = nullptr;
  std::byte* slots_ = nullptr;
  uint64_t slots_count_ = 0;
  uint64_t used_count_ = 0;
  uint32_t* free_slots_ = nullptr;
  uint64_t free_count_ = 0;
  uint64_t version_ = 0;
};

}  // namespace coracle::epc
