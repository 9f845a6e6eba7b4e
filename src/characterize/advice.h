// Advice: what findings say to do for a small enclave, each with the number behind it and what it
// would change. Rules of thumb over counts: whoever can plan or run the program again checks them.
#pragma once

#include <string>
#include <vector>

#include "characterize/findings.h"

namespace coracle::characterize {

struct Advice {
  std::string what;    ///< what to do
  std::string number;  ///< what was counted
  std::string effect;  ///< what it would change
};

/// `findings` as the tracer writes them. The most important first.
std::vector<Advice> Advise(const Json& findings);

/// LRU, in pages: the least capacity of the curve at which no more than a tenth of the pages that
/// were ever touched would be loaded again. 0 if even one page would do.
uint64_t KneePages(const Json& page_level);

}  // namespace coracle::characterize
