// RangeTable: the mappings of the program, as the pager made or found them.
//
// Sorted, apart from one another; neighbours that are alike are one. A piece of the kernel's own
// table of mappings: what decides whether and how a page may be paged.
// Threads: under the pager's lock.
#pragma once

#include <cstdint>

#include "emulator/pager/pager.h"

namespace coracle::epc {

/// What a mapping is to the pager.
enum class Kind : uint8_t {
  kPaged,   ///< anonymous private memory that is registered
  kCode,    ///< executable or read-only private file: counted, not charged
  kOutside  ///< shared memory, other files, what the kernel did not let us register
};

struct Mapping {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  int32_t protection = 0;  ///< PROT_*
  Kind kind = Kind::kPaged;
  Charge charge = Charge::kEvictable;
  bool grows_down = false;
  bool wiped_on_fork = false;
  bool gone_on_fork = false;
  bool from_file = false;           ///< paged, but in the place of a file's private pages
  bool has_key = false;             ///< a memory protection key is set
  bool protection_unknown = false;  ///< a call on it failed half way

  bool IsLike(const Mapping& other) const {
    return protection == other.protection && kind == other.kind && charge == other.charge &&
           grows_down == other.grows_down && wiped_on_fork == other.wiped_on_fork &&
           gone_on_fork == other.gone_on_fork && from_file == other.from_file &&
           has_key == other.has_key && protection_unknown == other.protection_unknown;
  }
};

class RangeTable {
 public:
  static constexpr uint64_t kMappingsMax = uint64_t{1} << 20;

  /// False: no memory for it.
  bool Init();
  void Free();

  /// The mapping that `address` lies in, or null.
  const Mapping* Find(uintptr_t address) const;
  /// The first mapping that ends past `address`, or null. For walks and for stacks that grow.
  const Mapping* FirstEndingPast(uintptr_t address) const;
  const Mapping* end() const { return mappings_ + count_; }
  /// Whether one more call of any kind fits.
  bool HasRoom() const { return count_ + 4 <= kMappingsMax; }

  void Erase(Range range);
  /// Replaces what is there.
  void Add(const Mapping& mapping);
  /// Calls change(Mapping&) for each piece of mapping inside of `range`, cut to it; begin and end
  /// must not be changed.
  template <typename Change>
  void Update(Range range, Change change) {
    Split(range.begin);
    Split(range.end);
    uint64_t i = IndexPast(range.begin);
    for (; i < count_ && mappings_[i].begin < range.end; ++i) change(mappings_[i]);
    MergeAround(range);
  }
  /// A copy of the mappings of [from, from + bytes) appears at `to` (which is erased first).
  void CopyTo(uintptr_t from, uint64_t bytes, uintptr_t to);
  /// Extends the mapping that begins at `from` down to `begin`.
  void GrowDown(uintptr_t from, uintptr_t begin);

  uint64_t bytes_of(Kind kind) const { return bytes_[static_cast<uint32_t>(kind)]; }

 private:
  /// Index of the first mapping whose end is past `address`.
  uint64_t IndexPast(uintptr_t address) const;
  void Split(uintptr_t address);
  void InsertAt(uint64_t index, const Mapping& mapping);
  void RemoveAt(uint64_t index, uint64_t count);
  void MergeAround(Range range);
  uint64_t& bytes(Kind kind) { return bytes_[static_cast<uint32_t>(kind)]; }

  Mapping* mappings_ = nullptr;
  uint64_t count_ = 0;
  uint64_t bytes_[3] = {};
};

}  // namespace coracle::epc
