#include "cmd/characterize/advice_text.h"

#include <gtest/gtest.h>

namespace coracle::cmd {
namespace {

Json Findings() {
  Json findings;
  findings["advice"] = {
      {{"what", "band it"}, {"number", "far"}, {"effect", "spares loads"}, {"checked", nullptr}}};
  return findings;
}

TEST(AdviceText, SaysWhatWhyAndWhatItWouldChange) {
  Json findings = Findings();
  EXPECT_EQ(AdviceText(findings), "\nadvice\n- band it\n    far: spares loads\n");
  EXPECT_EQ(ModelText(findings), "");
  findings["advice"] = Json::array();
  EXPECT_EQ(AdviceText(findings), "");
}

TEST(AdviceText, ShowsThePlansLoadsBesideTheProgramsWhereItWasRun) {
  Json findings = Findings();
  Json& advice = findings["advice"][0];
  advice["planned"] = "never made";
  advice["checked"] = {
      {"before", {{"knee_bytes", 9}, {"loads", {{{"epc_bytes", 1 << 20}, {"loads", 12345}}}}}},
      {"after", {{"knee_bytes", 1}, {"loads", {{{"epc_bytes", 1 << 20}, {"loads", 6}}}}}},
      {"text", "moves the knee"}};
  const std::string text = AdviceText(findings);
  EXPECT_NE(text.find("Coracle's plan: never made\n"), std::string::npos);
  EXPECT_NE(text.find("checked: moves the knee\n"), std::string::npos);
  EXPECT_NE(text.find("1 MiB                 12,345               6\n"), std::string::npos) << text;
}

TEST(AdviceText, SaysThatNothingWasChecked) {
  Json findings = Findings();
  findings["model"] = {
      {"name", "m.onnx"},
      {"layers", Json::array()},
      {"unplanned_bytes", 30 << 20},
      {"single_pass_bytes", 2 << 20},
      {"least_bytes", 1 << 20},
      {"recognized", {{"objects", 3}, {"bytes", 1 << 20}, {"bytes_of_all", 4 << 20}}},
      {"not_checked", "no QEMU"}};
  const std::string text = ModelText(findings);
  EXPECT_NE(text.find("model m.onnx: 0 layers; 30 MiB whole, 2 MiB planned"), std::string::npos);
  EXPECT_NE(text.find("3 of the largest allocations are recognized as its own: 1 MiB of 4 MiB"),
            std::string::npos);
  EXPECT_NE(text.find("NOT CHECKED by running the plan: no QEMU"), std::string::npos);
}

}  // namespace
}  // namespace coracle::cmd
