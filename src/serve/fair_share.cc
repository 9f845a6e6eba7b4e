#include "serve/fair_share.h"

#include <algorithm>

namespace coracle::serve {

void FairShare::Wake(ShareAccount& account) const {
  account.used_ms = std::max(account.used_ms, reached_ms_);
}

void FairShare::Charge(ShareAccount& account, double core_ms) {
  account.used_ms = std::max(account.used_ms, reached_ms_ - credit_ms_);
  reached_ms_ = std::max(reached_ms_, account.used_ms);
  account.used_ms += core_ms / account.weight;
}

}  // namespace coracle::serve
