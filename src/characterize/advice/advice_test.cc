#include "characterize/advice/advice.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace coracle::characterize {
namespace {

constexpr uint64_t kBase = 0x7f0000000000;

/// `turns` passes over `pages` pages, each line once.
void Walk(TraceAnalysis& analysis, uint64_t begin, uint64_t pages, int turns) {
  for (int turn = 0; turn < turns; ++turn) {
    for (uint64_t line = 0; line < pages * kLinesPerPage; ++line) {
      const AccessRun run{(begin >> kLineShift) + line, 8, 0, 64, 0, {}};
      analysis.Consume(std::span(&run, 1));
    }
  }
}

Json Findings() {
  TraceAnalysis::Settings settings;
  settings.epc_bytes = {1 << 20, 8 << 20};
  TraceAnalysis analysis(settings);
  analysis.Map({MemoryKind::kAnonymous, true, kBase, 4 << 20, "", false});
  analysis.Map({MemoryKind::kAnonymous, true, 2 * kBase, 3 << 20, "", false});
  analysis.Map({MemoryKind::kFile, false, 3 * kBase, 5 << 20, "sealed outside", false});
  Walk(analysis, 3 * kBase, 1280, 1);
  Walk(analysis, kBase, 1024, 5);
  Walk(analysis, 2 * kBase, 768, 1);
  analysis.Settle();
  Json findings = AnalysisJson(analysis, TraceNames());
  findings["system_calls"] = Json::array({{{"name", "write"}, {"calls", 1800}, {"errors", 0}},
                                          {{"name", "read"}, {"calls", 200}, {"errors", 0}}});
  return findings;
}

TEST(Advise, NamesTheKneeTheLoopAndTheStream) {
  const std::vector<Advice> advice = Advise(Findings());
  const auto has = [&](const std::string& what, const std::string& number) {
    return std::any_of(advice.begin(), advice.end(), [&](const Advice& one) {
      return one.what.find(what) != std::string::npos &&
             one.number.find(number) != std::string::npos;
    });
  };
  EXPECT_TRUE(has("give it 4 MiB", "7 MiB in all"));
  EXPECT_TRUE(has("mapping 1 (anonymous, 4 MiB): work on a band", "more than an EPC of 1 MiB"));
  EXPECT_TRUE(has("mapping 2 (anonymous, 3 MiB): stream it", "3 MiB read"));
  EXPECT_TRUE(has("fewer calls of write", "1800 of 2000"));
  EXPECT_EQ(advice.size(), 4u);
}

TEST(Advise, TheKneeIsWhereTheLoopFits) { EXPECT_EQ(KneeBytes(Findings()), 1024u << kPageShift); }

}  // namespace
}  // namespace coracle::characterize
