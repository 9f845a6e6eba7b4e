#include "cmd/characterize/planned_text.h"

#include <gtest/gtest.h>

#include "plan/test_networks.h"

namespace coracle::cmd {
namespace {

constexpr uint64_t kMebi = 1 << 20;

Json Object(const std::string& role, const std::string& layer, uint64_t bytes) {
  return {{"role", role}, {"layer", layer}, {"bytes", bytes}, {"loads", {9000, 100}}};
}

/// A program or a plan that walks over so many pages twice.
Json Findings(uint64_t pages, uint64_t loads) {
  Json findings;
  findings["epc"]["sizes"] = {{{"bytes", 8 * kMebi}, {"loads", loads}},
                              {{"bytes", 64 * kMebi}, {"loads", 0}}};
  findings["memory"] = {{{"kind", "activations"}, {"touched_bytes", pages * 4096}},
                        {{"kind", "stack"}, {"touched_bytes", 65536}},
                        {{"kind", "file"}, {"touched_bytes", 500 * kMebi}}};
  findings["mappings"] = {{{"kind", "anonymous"}, {"touched_bytes", pages * 4096}},
                          {{"kind", "stack"}, {"touched_bytes", 65536}},
                          {{"kind", "file"}, {"touched_bytes", 500 * kMebi}}};
  const Json once = {{"cold", 0}, {"histogram", {{pages - 1, 10 * pages}}}};
  findings["reuse"] = {
      {{"kinds",
        {{"activations", once}, {"file", {{"cold", 0}, {"histogram", {{200000, 120000}}}}}}}}};
  return findings;
}

class PlannedTextTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    graph_ = new graph::Graph(plan::MakeVgg16());
    profile_ = new ModelProfile(ProfileOf(*graph_, "vgg16"));
    planned_ = new PlannedModel(PlannedModel::Make(*graph_, 0).value());
  }
  static void TearDownTestSuite() {
    delete planned_;
    delete profile_;
    delete graph_;
  }
  PlannedTextTest() : report_(Findings(28000, 90000)) {
    report_["objects"] = {
        Object("im2col workspace", "convolution 2 (conv1_2), 3x3x64 at 224x224", 110 * kMebi),
        Object("output", "convolution 1 (conv1_1)", 64 * 224 * 224 * 4),
        Object("weights", "connected layer 1 (fc6)", 392 * kMebi),
        Object("output gradient", "convolution 1 (conv1_1)", 64 * 224 * 224 * 4)};
  }
  std::string About(characterize::Remedy remedy, size_t position) const {
    return PlannedText(*profile_, *planned_, report_).About({remedy, "", "", "", {position}});
  }

  static graph::Graph* graph_;
  static ModelProfile* profile_;
  static PlannedModel* planned_;
  Json report_;
};
graph::Graph* PlannedTextTest::graph_ = nullptr;
ModelProfile* PlannedTextTest::profile_ = nullptr;
PlannedModel* PlannedTextTest::planned_ = nullptr;

TEST_F(PlannedTextTest, SaysWhatThePlanHasInPlaceOfEachBuffer) {
  EXPECT_TRUE(About(characterize::Remedy::kBand, 0).starts_with("never made: windows slide"));
  EXPECT_TRUE(About(characterize::Remedy::kBand, 1).starts_with("1 of 1 kept as rings of rows: "));
  EXPECT_TRUE(
      About(characterize::Remedy::kStream, 2).starts_with("1 of 1 streamed through a slot"));
  EXPECT_EQ(About(characterize::Remedy::kDrop, 3), "never made: it only predicts");
  report_["objects"][0].erase("role");
  EXPECT_EQ(About(characterize::Remedy::kBand, 0), "");
  EXPECT_EQ(PlannedText(*profile_, *planned_, report_).About({}), "");
}

TEST_F(PlannedTextTest, PlansForOneOpeningOfEachWeight) {
  EXPECT_EQ(planned_->budget_bytes(), planned_->single_pass_bytes());
  EXPECT_LE(planned_->pool_bytes(), planned_->budget_bytes());
  EXPECT_LT(planned_->least_bytes(), planned_->single_pass_bytes());
  EXPECT_GT(planned_->opened_bytes(), 500 * kMebi);
  const Json advice = PlannedText(*profile_, *planned_, report_).PlanAdvice();
  EXPECT_NE(advice.at("number").get<std::string>().find("knee is at 109 MiB"), std::string::npos)
      << advice;
}

TEST_F(PlannedTextTest, ComparesTheKneesWithWhatWasPlanned) {
  const PlannedText text(*profile_, *planned_, report_);
  const Json good = text.CheckedPlan(Findings(1500, 3), 7 * kMebi);
  EXPECT_TRUE(good.at("as_planned").get<bool>()) << good;
  EXPECT_TRUE(good.at("text").get<std::string>().starts_with("moves the knee from 109 MiB to 5.8"))
      << good;
  EXPECT_EQ(good.at("before").at("loads")[0].at("loads"), 90000);
  EXPECT_EQ(good.at("after").at("loads")[0].at("loads"), 3);
  const Json bad = text.CheckedPlan(Findings(5000, 30000), 7 * kMebi);
  EXPECT_FALSE(bad.at("as_planned").get<bool>());
  EXPECT_NE(bad.at("text").get<std::string>().find("NOT as planned"), std::string::npos);
  const Json loads = text.CheckedPlan(Findings(1500, 300), 7 * kMebi);
  EXPECT_FALSE(loads.at("as_planned").get<bool>()) << loads;
}

TEST_F(PlannedTextTest, ComparesABuffersLoadsWithThePlans) {
  const PlannedText text(*profile_, *planned_, report_);
  const Json checked =
      text.CheckedBuffers({characterize::Remedy::kBand, "", "", "", {0, 1}}, Findings(1500, 3));
  EXPECT_EQ(checked.at("text"), "18000 page loads at an EPC of 8 MiB before; the whole plan has 3");
  EXPECT_EQ(checked.at("before").at("loads")[1].at("loads"), 200);
}

}  // namespace
}  // namespace coracle::cmd
