// What `coracle characterize --compare-inputs` says: the verdict, and what differs where.
#pragma once

#include <string>
#include <vector>

#include "characterize/digests/trace_comparison.h"
#include "cmd/support/console.h"

namespace coracle::cmd {

/// One input's run.
struct ComparedRun {
  std::string input;
  double seconds = 0;  ///< under the tracer
  Json digests;        ///< characterize/digests/digest_findings.h
  characterize::TraceComparison with_first;
};

enum class ComparisonVerdict : uint8_t {
  kSame,            ///< as far as these inputs show, nothing depends on them
  kDiffers,         ///< something does
  kCannotBeJudged,  ///< the program differs from itself on one and the same input
};

struct InputComparison {
  std::vector<std::string> command;
  std::string between;             ///< the part of the run that was compared, for people
  std::vector<ComparedRun> runs;   ///< at least two
  std::vector<ComparedRun> again;  ///< the first input once more: one where any differs, or none

  ComparisonVerdict verdict() const;
};

/// Exit code: success only if all is the same.
Report ReportComparison(const InputComparison& comparison);

}  // namespace coracle::cmd
