#include "characterize/tracer/orders.h"

#include <gtest/gtest.h>

namespace coracle::characterize {
namespace {

TEST(TracerOrders, SurviveTheWayThroughQemu) {
  TracerOrders orders;
  orders.program_path = "/bin/a b";
  orders.report_path = "/tmp/a,b=c/findings.json";
  orders.recorder_path = "/lib,y.so";
  orders.from_mark = 1;
  orders.to_mark = 0xffffffffffffffff;
  orders.analysis.epc_bytes = {4096, 8192};
  orders.analysis.shifts = {6, 7};
  orders.analysis.sample_rate = 0.0625;
  const std::string option = orders.ToOption("/lib,x.so");
  EXPECT_EQ(option,
            "/lib,,x.so,program=/bin/a "
            "b,report=/tmp/a,,b=c/findings.json,run=16,sample=0.0625,recorder=/lib,,y.so,from=1,"
            "to=18446744073709551615,epc=4096,epc=8192,shift=6,shift=7");
  const std::string_view arguments[] = {"program=/bin/a b",
                                        "report=/tmp/a,b=c/findings.json",
                                        "run=16",
                                        "sample=0.0625",
                                        "recorder=/lib,y.so",
                                        "from=1",
                                        "to=18446744073709551615",
                                        "epc=4096",
                                        "epc=8192",
                                        "shift=6",
                                        "shift=7"};
  const auto parsed = TracerOrders::Parse(arguments);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->ToOption("/lib,x.so"), option);
}

TEST(TracerOrders, SayThatRunsAreCompared) {
  TracerOrders orders;
  orders.report_path = "/r";
  orders.work = TracerWork::kDigests;
  EXPECT_NE(orders.ToOption("/x").find(",work=digests"), std::string::npos);
  const std::string_view arguments[] = {"report=/r", "work=digests"};
  const auto parsed = TracerOrders::Parse(arguments);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->work, TracerWork::kDigests);
  const std::string_view wrong[] = {"report=/r", "work=all"};
  EXPECT_FALSE(TracerOrders::Parse(wrong).ok());
}

TEST(TracerOrders, RefusesWhatItDoesNotKnow) {
  const std::string_view wrong[] = {
      "report", "epc=x", "epc=1x", "sample=", "from=a", "to=-1", "unknown=1", ""};
  for (const std::string_view argument : wrong) {
    const std::string_view arguments[] = {"report=/r", argument};
    EXPECT_FALSE(
        TracerOrders::Parse(std::span(arguments).subspan(argument == "report" ? 1 : 0)).ok())
        << argument;
  }
}

}  // namespace
}  // namespace coracle::characterize
