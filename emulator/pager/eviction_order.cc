#include "emulator/pager/eviction_order.h"

namespace coracle::epc {

void PageQueue::PushNewest(PageRecord& page) {
  page.older = newest_;
  page.newer = nullptr;
  (newest_ != nullptr ? newest_->newer : oldest_) = &page;
  newest_ = &page;
  ++count_;
}

void PageQueue::Remove(PageRecord& page) {
  (page.older != nullptr ? page.older->newer : oldest_) = page.newer;
  (page.newer != nullptr ? page.newer->older : newest_) = page.older;
  page.older = page.newer = nullptr;
  --count_;
}

void PageQueue::Replace(PageRecord& from, PageRecord& to) {
  to.older = from.older;
  to.newer = from.newer;
  (to.older != nullptr ? to.older->newer : oldest_) = &to;
  (to.newer != nullptr ? to.newer->older : newest_) = &to;
  from.older = from.newer = nullptr;
}

void EvictionOrder::AddFresh(PageRecord& page) {
  page.queued = true;
  page.proven = false;
  fresh_.PushNewest(page);
}

void EvictionOrder::AddLoaded(PageRecord& page, uint64_t refault_distance, uint64_t limit_pages) {
  const uint64_t proven_max = limit_pages / 2;
  if (refault_distance >= proven_max) return AddFresh(page);
  page.queued = true;
  page.proven = true;
  proven_.PushNewest(page);
  while (proven_.count() > proven_max) {
    PageRecord& oldest = *proven_.oldest();
    proven_.Remove(oldest);
    AddFresh(oldest);
  }
}

void EvictionOrder::Remove(PageRecord& page) {
  QueueOf(page).Remove(page);
  page.queued = page.proven = false;
}

void EvictionOrder::Replace(PageRecord& from, PageRecord& to) {
  to.queued = true;
  to.proven = from.proven;
  QueueOf(from).Replace(from, to);
  from.queued = from.proven = false;
}

}  // namespace coracle::epc
