// PageTable: what the pager knows of each page, by address.
//
// Trusted: versions and tags of evicted pages live here (what SGX keeps in VA pages and PCMDs).
// Threads: under the pager's lock.
#pragma once

#include <cstddef>
#include <cstdint>

#include "emulator/pager/own_memory.h"
#include "emulator/pager/run_record.h"

namespace coracle::epc {

enum class PageState : uint8_t {
  kUntouched = 0,  ///< its first touch makes it a page of zeros
  kPresent,
  kSealed  ///< its contents lie in the sealed store alone
};

struct PageRecord {
  PageState state = PageState::kUntouched;
  bool queued : 1 = false;       ///< in the EvictionOrder
  bool proven : 1 = false;       ///< there, among those that have come back soon
  bool pinned : 1 = false;       ///< charged, never evicted
  uint16_t holds = 0;            ///< of its address, whatever happens to the page meanwhile
  uint32_t slot = 0;             ///< of the sealed store
  uint64_t version = 0;          ///< the eviction that sealed it: its nonce
  uintptr_t sealed_address = 0;  ///< where it was then: its associated data
  std::byte tag[16] = {};
  PageRecord* older = nullptr;  ///< neighbours in the queue
  PageRecord* newer = nullptr;
  uintptr_t address = 0;
};
static_assert(sizeof(PageRecord) == 64);

/// A radix tree of three levels over 47 bits of address. Its nodes are never freed: their untouched
/// pages cost nothing.
class PageTable {
 public:
  void Init(OwnMemory* memory) { memory_ = memory; }
  /// Null if nothing was ever known of that page.
  PageRecord* Find(uintptr_t address) const {
    Leaf* leaf = LeafOf(address);
    return leaf == nullptr ? nullptr : &leaf->pages[(address >> kPageShift) % kLeafPages];
  }
  /// Makes the record if there is none. Null: no memory, or the address is out of reach.
  PageRecord* FindOrMake(uintptr_t address);

  /// Calls visit(PageRecord&) for each known page of [begin, end) that holds anything, in order of
  /// address.
  template <typename Visit>
  void ForEach(uintptr_t begin, uintptr_t end, Visit visit) const {
    while (begin < end && begin < kAddressEnd) {
      const uintptr_t leaf_end = (begin / kLeafBytes + 1) * kLeafBytes;
      const Middle* middle = root_[begin / kMiddleBytes];
      if (middle == nullptr) {
        begin = (begin / kMiddleBytes + 1) * kMiddleBytes;
        continue;
      }
      if (Leaf* leaf = LeafOf(begin); leaf != nullptr) {
        for (uintptr_t at = begin; at < leaf_end && at < end; at += kPageBytes) {
          PageRecord& page = leaf->pages[(at >> kPageShift) % kLeafPages];
          if (page.address != 0) visit(page);
        }
      }
      begin = leaf_end;
    }
  }

 private:
  static constexpr uint32_t kPageShift = 12;
  static constexpr uint64_t kLeafPages = 2048;
  static constexpr uint64_t kFanOut = 4096;
  static constexpr uint64_t kLeafBytes = kLeafPages * kPageBytes;
  static constexpr uint64_t kMiddleBytes = kFanOut * kLeafBytes;
  static constexpr uintptr_t kAddressEnd = kFanOut * kMiddleBytes;
  static_assert(kAddressEnd == uintptr_t{1} << 47);

  struct Leaf {
    PageRecord pages[kLeafPages];
  };
  struct Middle {
    Leaf* leaves[kFanOut];
  };
  Leaf* LeafOf(uintptr_t address) const {
    if (address >= kAddressEnd) return nullptr;
    const Middle* middle = root_[address / kMiddleBytes];
    return middle == nullptr ? nullptr : middle->leaves[address / kLeafBytes % kFanOut];
  }

  OwnMemory* memory_ = nullptr;
  Middle* root_[kFanOut] = {};
};

}  // namespace coracle::epc
