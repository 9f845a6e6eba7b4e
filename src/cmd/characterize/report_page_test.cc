#include "cmd/characterize/report_page.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "cmd/support/page_checks_for_test.h"

namespace coracle::cmd {
namespace {

Json ReportOf(const std::string& name) {
  Json report = {{"program", name}, {"arguments", {name}}, {"ending", name}};
  report["functions"] = {{{"name", name}, {"file", name}, {"accesses", 1}}};
  report["advice"] = {{{"what", name}, {"number", name}, {"effect", name}}};
  return report;
}

TEST(CharacterizationPageTest, CarriesTheReportAndItsKnee) {
  Json report = ReportOf("darknet");
  // 100 pages, and no more than ten of them again from a capacity of 64 on.
  const Json distances = {{"cold", 100}, {"histogram", {{0, 490}, {63, 400}, {127, 10}}}};
  report["memory"] = {{{"kind", "heap"}, {"touched_bytes", 100 * 4096}}};
  report["reuse"] = {{{"granule_bytes", 4096}, {"kinds", {{"heap", distances}}}}};
  const Json data = Json::parse(DataOf(CharacterizationPage(report), "findings"));
  EXPECT_EQ(data["knee_bytes"], 64 * 4096);
  report["knee_bytes"] = 64 * 4096;
  EXPECT_EQ(data, report);
}

TEST(CharacterizationPageTest, NoPagesNoKnee) {
  const Json data = Json::parse(DataOf(CharacterizationPage(ReportOf("compared")), "findings"));
  EXPECT_TRUE(data["knee_bytes"].is_null());
  EXPECT_EQ(data["program"], "compared");
}

TEST(CharacterizationPageTest, HostileNamesStayData) {
  for (const char* name : kHostileNames) {
    const std::string page = CharacterizationPage(ReportOf(name));
    const std::string_view data = DataOf(page, "findings");
    EXPECT_EQ(Json::parse(data)["functions"], ReportOf(name)["functions"]) << name;
    ExpectDataStaysData(page, data);
  }
}

TEST(CharacterizationPageTest, BrokenUtf8IsReplaced) {
  const std::string page = CharacterizationPage(ReportOf("a\xff\xc0z"));
  EXPECT_EQ(Json::parse(DataOf(page, "findings"))["program"], "a\uFFFD\uFFFDz");
}

TEST(CharacterizationPageTest, PolicyForbidsAllButItsOwnScripts) {
  ExpectOwnScriptsOnly(CharacterizationPage(ReportOf("m")));
}

TEST(CharacterizationPageTest, LeavesNoSlotOpenAndNamesTheLicence) {
  ExpectWhole(CharacterizationPage(ReportOf("m")));
}

}  // namespace
}  // namespace coracle::cmd
