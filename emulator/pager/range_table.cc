#include "emulator/pager/range_table.h"

#include "emulator/pager/fatal.h"
#include "emulator/pager/own_memory.h"

namespace coracle::epc {

bool RangeTable::Init() {
  mappings_ = static_cast<Mapping*>(MapOwn(kMappingsMax * sizeof(Mapping)));
  return mappings_ != nullptr;
}

void RangeTable::Free() {
  UnmapOwn(mappings_, kMappingsMax * sizeof(Mapping));
  mappings_ = nullptr;
  count_ = 0;
}

uint64_t RangeTable::IndexPast(uintptr_t address) const {
  uint64_t low = 0;
  uint64_t high = count_;
  while (low < high) {
    const uint64_t middle = (low + high) / 2;
    if (mappings_[middle].end > address) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

const Mapping* RangeTable::FirstEndingPast(uintptr_t address) const {
  const uint64_t i = IndexPast(address);
  return i < count_ ? &mappings_[i] : nullptr;
}

const Mapping* RangeTable::Find(uintptr_t address) const {
  const Mapping* mapping = FirstEndingPast(address);
  return mapping != nullptr && mapping->begin <= address ? mapping : nullptr;
}

void RangeTable::InsertAt(uint64_t index, const Mapping& mapping) {
  EPC_CHECK(count_ < kMappingsMax);
  for (uint64_t i = count_; i > index; --i) mappings_[i] = mappings_[i - 1];
  mappings_[index] = mapping;
  ++count_;
}

void RangeTable::RemoveAt(uint64_t index, uint64_t count) {
  if (count == 0) return;
  for (uint64_t i = index; i + count < count_; ++i) mappings_[i] = mappings_[i + count];
  count_ -= count;
}

void RangeTable::Split(uintptr_t address) {
  const uint64_t i = IndexPast(address);
  if (i == count_ || mappings_[i].begin >= address) return;
  Mapping upper = mappings_[i];
  upper.begin = address;
  upper.grows_down = false;
  mappings_[i].end = address;
  InsertAt(i + 1, upper);
}

void RangeTable::Erase(Range range) {
  Split(range.begin);
  Split(range.end);
  const uint64_t first = IndexPast(range.begin);
  uint64_t last = first;
  for (; last < count_ && mappings_[last].begin < range.end; ++last) {
    bytes(mappings_[last].kind) -= mappings_[last].end - mappings_[last].begin;
  }
  RemoveAt(first, last - first);
}

void RangeTable::Add(const Mapping& mapping) {
  const Range range{mapping.begin, mapping.end};
  Erase(range);
  InsertAt(IndexPast(mapping.begin), mapping);
  bytes(mapping.kind) += mapping.end - mapping.begin;
  MergeAround(range);
}

void RangeTable::MergeAround(Range range) {
  uint64_t i = IndexPast(range.begin);
  if (i > 0) --i;
  while (i + 1 < count_ && mappings_[i].begin <= range.end) {
    Mapping& lower = mappings_[i];
    const Mapping& upper = mappings_[i + 1];
    Mapping as_lower = upper;
    as_lower.grows_down = lower.grows_down;
    if (lower.end == upper.begin && !upper.grows_down && lower.IsLike(as_lower)) {
      lower.end = upper.end;
      RemoveAt(i + 1, 1);
    } else {
      ++i;
    }
  }
}

void RangeTable::CopyTo(uintptr_t from, uint64_t bytes, uintptr_t to) {
  Erase({to, to + bytes});
  // By address, not by index: each Add may move what lies behind it, and join a copy with its
  // source.
  uintptr_t at = from;
  while (at < from + bytes) {
    const Mapping* found = FirstEndingPast(at);
    if (found == nullptr || found->begin >= from + bytes) break;
    Mapping copy = *found;
    if (copy.begin < at) copy.begin = at;
    if (copy.end > from + bytes) copy.end = from + bytes;
    at = copy.end;
    copy.begin = copy.begin - from + to;
    copy.end = copy.end - from + to;
    copy.grows_down = false;
    Add(copy);
  }
}

void RangeTable::GrowDown(uintptr_t from, uintptr_t begin) {
  const uint64_t i = IndexPast(from);
  EPC_CHECK(i < count_ && mappings_[i].begin == from);
  bytes(mappings_[i].kind) += from - begin;
  mappings_[i].begin = begin;
}

}  // namespace coracle::epc
