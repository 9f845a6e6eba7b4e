#include "passes/pipeline.h"

#include <gtest/gtest.h>

#include "graph/dump.h"
#include "graph/verify.h"
#include "passes/graph_for_test.h"

namespace coracle::passes {
namespace {

TEST(Pipeline, KeepsTheMeaningOfRandomGraphs) {
  for (uint32_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE(seed);
    const graph::Graph original = RandomGraph(seed, 3 + seed % 25);
    ASSERT_TRUE(graph::Verify(original).ok()) << graph::Verify(original).error().message;
    graph::Graph rewritten = original;
    const Status status = RunPasses(rewritten);
    ASSERT_TRUE(status.ok()) << status.error().message << "\n" << graph::Dump(original);
    ASSERT_NO_FATAL_FAILURE(ExpectSameResults(original, rewritten, seed));
    const auto rows = LowerToRows(rewritten);
    ASSERT_TRUE(rows.ok()) << rows.error().message << "\n" << graph::Dump(rewritten);
    ASSERT_NO_FATAL_FAILURE(ExpectSameResults(original, *rows, seed));
  }
}

TEST(Pipeline, LowersUnrewrittenGraphsAsWell) {
  for (uint32_t seed = 5001; seed <= 5500; ++seed) {
    SCOPED_TRACE(seed);
    const graph::Graph original = RandomGraph(seed, 3 + seed % 20);
    const auto rows = LowerToRows(original);
    ASSERT_TRUE(rows.ok()) << rows.error().message << "\n" << graph::Dump(original);
    ASSERT_NO_FATAL_FAILURE(ExpectSameResults(original, *rows, seed));
  }
}

TEST(Pipeline, IsDeterministic) {
  graph::Graph a = RandomGraph(7, 30);
  graph::Graph b = RandomGraph(7, 30);
  ASSERT_TRUE(RunPasses(a).ok());
  ASSERT_TRUE(RunPasses(b).ok());
  EXPECT_EQ(graph::Dump(*LowerToRows(a)), graph::Dump(*LowerToRows(b)));
}

TEST(Pipeline, RefusesLoweredGraphs) {
  const graph::Graph logical = RandomGraph(1, 5);
  auto rows = LowerToRows(logical);
  ASSERT_TRUE(rows.ok());
  EXPECT_EQ(RunPasses(*rows).error().code, Code::kInvalidArgument);
  EXPECT_EQ(LowerToRows(*rows).error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace coracle::passes
