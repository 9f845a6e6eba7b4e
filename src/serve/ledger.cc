#include "serve/ledger.h"

#include <algorithm>

#include "base/check.h"

namespace coracle::serve {

void Ledger::Take(uint64_t bytes) {
  CORACLE_CHECK(bytes <= free_bytes());
  leased_bytes_ += bytes;
  leased_peak_bytes_ = std::max(leased_peak_bytes_, leased_bytes_);
}

void Ledger::Return(uint64_t bytes) {
  CORACLE_CHECK(bytes <= leased_bytes_);
  leased_bytes_ -= bytes;
}

}  // namespace coracle::serve
