#include "cmd/support/plan_page.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "cmd/support/page_checks_for_test.h"

namespace coracle::cmd {
namespace {

Json PlanNamed(const std::string& name) {
  Json plan = {{"model", name}, {"budget_bytes", nullptr}, {"pool_bytes", 64}};
  plan["steps"] = {{{"form", "layer"}, {"layers", {name}}, {"predicted_ms", 1.5}}};
  plan["buffers"] = {{{"name", name},
                      {"kind", "tensor"},
                      {"offset", 0},
                      {"bytes", 64},
                      {"first_step", 0},
                      {"last_step", 0},
                      {"why", name}}};
  return plan;
}

TEST(PlanPageTest, CarriesThePlanUnchanged) {
  const Json plan = PlanNamed("conv1_1");
  const std::string page = PlanPage(plan);
  EXPECT_EQ(Json::parse(DataOf(page, "plan")), plan);
}

TEST(PlanPageTest, HostileNamesStayData) {
  for (const char* name : kHostileNames) {
    const std::string page = PlanPage(PlanNamed(name));
    const std::string_view data = DataOf(page, "plan");
    EXPECT_EQ(Json::parse(data), PlanNamed(name)) << name;
    ExpectDataStaysData(page, data);
  }
}

TEST(PlanPageTest, BrokenUtf8IsReplaced) {
  const std::string page = PlanPage(PlanNamed("a\xff\xc0z"));
  EXPECT_EQ(Json::parse(DataOf(page, "plan"))["model"], "a\uFFFD\uFFFDz");
}

TEST(PlanPageTest, PolicyForbidsAllButItsOwnScripts) {
  ExpectOwnScriptsOnly(PlanPage(PlanNamed("m")));
}

TEST(PlanPageTest, LeavesNoSlotOpenAndNamesTheLicence) { ExpectWhole(PlanPage(PlanNamed("m"))); }

}  // namespace
}  // namespace coracle::cmd
