#include "cmd/support/plan_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace coracle::cmd {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

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

/// What stands in the page's data element.
std::string_view DataOf(std::string_view page) {
  constexpr std::string_view kOpen = "<script id=\"plan\" type=\"application/json\">";
  const size_t begin = page.find(kOpen) + kOpen.size();
  return page.substr(begin, page.find("</script>", begin) - begin);
}

size_t Count(std::string_view text, std::string_view what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + what.size())) {
    ++count;
  }
  return count;
}

TEST(PlanPageTest, CarriesThePlanUnchanged) {
  const Json plan = PlanNamed("conv1_1");
  const std::string page = PlanPage(plan);
  EXPECT_EQ(Json::parse(DataOf(page)), plan);
}

TEST(PlanPageTest, HostileNamesStayData) {
  for (const char* name :
       {"</script><script>alert(1)</script>", "<!--<script>", "]]>&amp;&lt;",
        "\u2028\u2029 é \U0001F6F6", "{{charts}}{{policy}}", "\"}]}'`\\", "\x01\x1f\x7f"}) {
    const Json plan = PlanNamed(name);
    const std::string page = PlanPage(plan);
    const std::string_view data = DataOf(page);
    EXPECT_EQ(Json::parse(data), plan) << name;
    EXPECT_EQ(data.find_first_of("<>&"), data.npos) << name;
    EXPECT_TRUE(std::ranges::all_of(data, [](char c) { return c >= ' ' && c < 0x7f; })) << name;
    // The data, the library, the page's own.
    EXPECT_EQ(Count(page, "</script"), 3U) << name;
  }
}

TEST(PlanPageTest, BrokenUtf8IsReplaced) {
  const std::string page = PlanPage(PlanNamed("a\xff\xc0z"));
  EXPECT_EQ(Json::parse(DataOf(page))["model"], "a\uFFFD\uFFFDz");
}

TEST(PlanPageTest, PolicyForbidsAllButItsOwnScripts) {
  const std::string page = PlanPage(PlanNamed("m"));
  EXPECT_THAT(page, HasSubstr("content=\"default-src 'none'; script-src 'sha256-"));
  const size_t begin = page.find("script-src");
  const std::string policy = page.substr(begin, page.find(';', begin) - begin);
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
  EXPECT_EQ(Count(policy, "'sha256-"), 2U);
}

TEST(PlanPageTest, LeavesNoSlotOpenAndNamesTheLicence) {
  const std::string page = PlanPage(PlanNamed("m"));
  EXPECT_THAT(page, Not(HasSubstr("{{policy}}")));
  EXPECT_THAT(page, Not(HasSubstr("{{script}}")));
  EXPECT_THAT(page, HasSubstr("Apache License"));
  EXPECT_THAT(page, HasSubstr("Redistributions in binary form"));
}

}  // namespace
}  // namespace coracle::cmd
