// TraceComparison: two runs of one program by their digests: what somebody who watches addresses
// can tell them apart by, and which instructions are the cause.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "characterize/analysis/findings.h"
#include "characterize/digests/access_digests.h"

namespace coracle::characterize {

enum class CodeDifferenceKind : uint8_t {
  kJumps,     ///< it ran as often, and went elsewhere, or in another order
  kPages,     ///< it touched other pages, as often
  kLines,     ///< it touched other lines of the same pages, as often
  kAccesses,  ///< it ran as often, and touched memory more or less often (masks, repetition)
  kRuns       ///< it ran more or less often: what another difference brought about, or a loop
};
/// "jumps", "pages", "lines", "accesses", "runs".
std::string_view CodeDifferenceName(CodeDifferenceKind kind);

struct CodeDifference {
  CodeDifferenceKind kind = CodeDifferenceKind::kRuns;
  uint64_t address = 0;  ///< of the instruction; of a block's jump
  /// Runs of a block (kJumps, kRuns), or accesses of an instruction.
  uint64_t first_count = 0;
  uint64_t second_count = 0;
};

struct CallDifference {
  std::string name;
  uint64_t first_count = 0;
  uint64_t second_count = 0;
};

struct TraceComparison {
  std::array<bool, kAddressStreamCount> differs = {};  ///< by AddressStream, in any thread
  std::vector<CallDifference> calls;                   ///< by name
  /// kRuns come last; otherwise in the order in which the code first ran in the first trace.
  std::vector<CodeDifference> code;

  bool pages_differ() const { return Of(AddressStream::kDataPages, AddressStream::kCodePages); }
  bool lines_differ() const { return Of(AddressStream::kDataLines, AddressStream::kCodeLines); }
  bool code_differs() const { return Of(AddressStream::kCodeBlocks, AddressStream::kCodeBlocks); }
  bool same() const {
    return !pages_differ() && !lines_differ() && !code_differs() && calls.empty();
  }

 private:
  bool Of(AddressStream one, AddressStream other) const {
    return differs[static_cast<size_t>(one)] || differs[static_cast<size_t>(other)];
  }
};

/// `first` and `second`: the key "digests" of findings (digest_findings.h). Where they do not have
/// that form, an exception of the JSON library leaves.
TraceComparison CompareTraces(const Json& first, const Json& second);

}  // namespace coracle::characterize
