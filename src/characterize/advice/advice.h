// Advice: what findings say to do for a small enclave, each with the number behind it and what it
// would change. Rules of thumb over counts: whoever can plan or run the program again checks them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "characterize/analysis/findings.h"

namespace coracle::characterize {

/// What an advice is about.
enum class Remedy : uint8_t {
  kSize,       ///< how much memory to give
  kBand,       ///< a buffer: work on a part of it at a time
  kStream,     ///< a buffer: what is read once needs no room of its own
  kDrop,       ///< a buffer: what is never read need not be made
  kLibraries,  ///< what the loader pins
  kCalls       ///< system calls
};

struct Advice {
  Remedy remedy = Remedy::kSize;
  std::string what;               ///< what to do
  std::string number;             ///< what was counted
  std::string effect;             ///< what it would change
  std::vector<size_t> positions;  ///< in findings.objects, of the buffers that it is about
};

/// `findings` as the tracer writes them; objects with "role" and "layer" are called by those. The
/// most important first.
std::vector<Advice> Advise(const Json& findings);
/// [{"what", "number", "effect", "checked": null}], as in findings.
Json AdviceJson(const std::vector<Advice>& advice);

/// Whether an enclave does not hold memory of this kind (docs/epcrun.md, "What is charged").
bool IsOutside(const std::string& kind);

/// The knee of the page miss curve: the least LRU memory with which hardly any page is loaded more
/// than once, at most a tenth of those that are touched. Mapped files and shared memory, which lie
/// outside of an enclave, take no part. 0 if one page would do.
uint64_t KneeBytes(const Json& findings);

}  // namespace coracle::characterize
