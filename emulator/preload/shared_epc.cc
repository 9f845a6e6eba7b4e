#include "emulator/preload/shared_epc.h"

#include <linux/futex.h>

#include <algorithm>

#include "emulator/pager/raw_syscall.h"

namespace coracle::epc {

[[noreturn]] void SharedEpcLoop(Pager& pager, RunRecord& record) {
  for (;;) {
    const uint32_t order = record.order.load(std::memory_order_acquire);
    if (order == record.order_done.load(std::memory_order_relaxed)) {
      // Shared futex: the record is a memfd that epcrun maps elsewhere.
      RawCall(SYS_futex, AsLong(&record.order), FUTEX_WAIT, static_cast<long>(order));
      continue;
    }
    const uint64_t limit = record.ordered_limit_bytes.load(std::memory_order_acquire);
    pager.SetLimit(limit);
    const uint64_t resident = pager.ShrinkTo(limit);
    record.kept_bytes.store(std::max(limit, resident), std::memory_order_release);
    record.order_done.store(order, std::memory_order_release);
  }
}

}  // namespace coracle::epc
