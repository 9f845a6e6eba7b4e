#include "cmd/support/plan_timeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <sstream>
#include <string>

namespace coracle::cmd {
namespace {

using ::testing::HasSubstr;

Json Buffer(const std::string& kind, uint64_t offset, uint64_t bytes, int first, int last) {
  return {{"name", "b"},         {"kind", kind},      {"offset", offset}, {"bytes", bytes},
          {"first_step", first}, {"last_step", last}, {"why", ""}};
}

/// `step_count` steps, each of one layer "l<index>".
Json PlanOf(int step_count, Json buffers, uint64_t pool_bytes) {
  Json steps = Json::array();
  for (int i = 0; i < step_count; ++i) {
    steps.push_back({{"form", "layer"}, {"layers", {"l" + std::to_string(i)}}});
  }
  return {{"pool_bytes", pool_bytes}, {"steps", steps}, {"buffers", std::move(buffers)}};
}

size_t WidestLine(const std::string& text) {
  std::istringstream lines(text);
  size_t widest = 0;
  for (std::string line; std::getline(lines, line);) widest = std::max(widest, line.size());
  return widest;
}

TEST(PlanTimelineTest, DrawsASmallPlan) {
  const Json plan = PlanOf(3,
                           {Buffer("tensor", 0, 2048, 0, 1), Buffer("ring", 2048, 1024, 1, 1),
                            Buffer("pinned", 3072, 1024, 0, 2), Buffer("counters", 2048, 16, 2, 2)},
                           4096);
  EXPECT_EQ(PlanTimeline(plan, 60),
            "     4 KiB |PPPPPPPPPPPPPPPPPPPPPPPP\n"
            "           |PPPPPPPPPPPPPPPPPPPPPPPP\n"
            "           |PPPPPPPPPPPPPPPPPPPPPPPP\n"
            "           |PPPPPPPPPPPPPPPPPPPPPPPP\n"
            "     3 KiB |........========........\n"
            "           |........========........\n"
            "           |........========........\n"
            "           |........========........\n"
            "     2 KiB |################........\n"
            "           |################........\n"
            "           |################........\n"
            "           |################........\n"
            "     1 KiB |################........\n"
            "           |################........\n"
            "           |################........\n"
            "           |################........\n"
            "       0 B +------------------------\n"
            "      step  0       1       2\n"
            "                    ^ peak: 4 KiB in use at step 1, l1\n"
            "# tensor   = ring   P pinned   . free\n"
            "too small to see: counters\n");
}

TEST(PlanTimelineTest, ShowsWhatLivesBeforeAndAfter) {
  const std::string text = PlanTimeline(
      PlanOf(1, {Buffer("source", 0, 64, -1, 0), Buffer("sink", 64, 64, 0, 1)}, 128), 60);
  EXPECT_THAT(text, HasSubstr("|........>>>>>>>>>>>>>>>>\n"));
  EXPECT_THAT(text, HasSubstr("|<<<<<<<<<<<<<<<<........\n"));
  EXPECT_THAT(text, HasSubstr("step  before  0       after\n"));
}

TEST(PlanTimelineTest, MergesStepsToFit) {
  for (const int step_count : {1, 2, 27, 28, 29, 88, 89, 100, 500}) {
    for (const int columns : {40, 80, 100}) {
      Json buffers = Json::array();
      for (int i = 0; i < step_count; ++i) buffers.push_back(Buffer("tensor", 0, 4096, i, i));
      const std::string text = PlanTimeline(PlanOf(step_count, buffers, 4096), columns);
      EXPECT_LE(WidestLine(text), static_cast<size_t>(columns)) << step_count << ' ' << columns;
      EXPECT_EQ(text.substr(0, text.find("peak")).find('.'), text.npos) << text;
    }
  }
}

TEST(PlanTimelineTest, InPlaceBuffersCountOnce) {
  const Json plan =
      PlanOf(1, {Buffer("tensor", 0, 1024, 0, 0), Buffer("tensor", 0, 1024, 0, 0)}, 1024);
  EXPECT_THAT(PlanTimeline(plan, 80), HasSubstr("peak: 1 KiB in use"));
}

TEST(PlanTimelineTest, LayerNamesMayBeHostile) {
  Json plan = PlanOf(2, {Buffer("tensor", 0, 1024, 0, 1)}, 1024);
  plan["steps"][0]["layers"] = {"\x1b[2J\n" + std::string(500, 'x')};
  const std::string text = PlanTimeline(plan, 100);
  EXPECT_LE(WidestLine(text), 100U);
  EXPECT_EQ(text.find('\x1b'), text.npos);
}

TEST(PlanTimelineTest, NothingToDraw) {
  EXPECT_EQ(PlanTimeline(PlanOf(0, Json::array(), 0), 100), "");
  EXPECT_EQ(PlanTimeline(PlanOf(2, Json::array(), 0), 100), "");
}

}  // namespace
}  // namespace coracle::cmd
