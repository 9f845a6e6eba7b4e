#include "emulator/pager/page_table.h"

namespace coracle::epc {

PageRecord* PageTable::FindOrMake(uintptr_t address) {
  if (address >= kAddressEnd) return nullptr;
  Middle*& middle = root_[address / kMiddleBytes];
  if (middle == nullptr) {
    middle = static_cast<Middle*>(memory_->Take(sizeof(Middle), kPageBytes));
    if (middle == nullptr) return nullptr;
  }
  Leaf*& leaf = middle->leaves[address / kLeafBytes % kFanOut];
  if (leaf == nullptr) {
    leaf = static_cast<Leaf*>(memory_->Take(sizeof(Leaf), kPageBytes));
    if (leaf == nullptr) return nullptr;
  }
  PageRecord& page = leaf->pages[(address >> kPageShift) % kLeafPages];
  page.address = address & ~(kPageBytes - 1);
  return &page;
}

}  // namespace coracle::epc
