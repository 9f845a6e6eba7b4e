#include "characterize/tracer/orders.h"

#include <gtest/gtest.h>

namespace coracle::characterize {
namespace {

TEST(TracerOrders, SurviveTheWayThroughQemu) {
  TracerOrders orders;
  orders.program_path = "/bin/a b";
  orders.report_path = "/tmp/a,b=c/findings.json";
  orders.analysis.epc_bytes = {4096, 8192};
  orders.analysis.shifts = {6, 7};
  orders.analysis.sample_rate = 0.0625;
  const std::string option = orders.ToOption("/lib,x.so");
  EXPECT_EQ(option,
            "/lib,,x.so,program=/bin/a "
            "b,report=/tmp/a,,b=c/findings.json,run=16,sample=0.0625,epc=4096,epc=8192,"
            "shift=6,shift=7");
  const std::string_view arguments[] = {"program=/bin/a b", "report=/tmp/a,b=c/findings.json",
                                        "run=16",           "sample=0.0625",
                                        "epc=4096",         "epc=8192",
                                        "shift=6",          "shift=7"};
  const auto parsed = TracerOrders::Parse(arguments);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->ToOption("/lib,x.so"), option);
}

TEST(TracerOrders, RefusesWhatItDoesNotKnow) {
  const std::string_view wrong[] = {"report", "epc=x", "epc=1x", "sample=", "unknown=1", ""};
  for (const std::string_view argument : wrong) {
    const std::string_view arguments[] = {"report=/r", argument};
    EXPECT_FALSE(
        TracerOrders::Parse(std::span(arguments).subspan(argument == "report" ? 1 : 0)).ok())
        << argument;
  }
}

}  // namespace
}  // namespace coracle::characterize
