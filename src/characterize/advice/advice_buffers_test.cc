#include "characterize/advice/advice_buffers.h"

#include <gtest/gtest.h>

#include "characterize/advice/buffer_name.h"

namespace coracle::characterize {
namespace {

constexpr uint64_t kMebi = 1 << 20;

struct Use {
  uint64_t bytes = 0;
  uint64_t read_bytes = 0;
  uint64_t written_bytes = 0;
  uint64_t distance_bytes = 0;
  std::vector<uint64_t> loads;
};

Json Object(const std::string& function, const Use& use, const std::string& writer,
            const std::string& reader) {
  Json object = {{"path", {"calloc", function, "main"}},
                 {"bytes", use.bytes},
                 {"touched_bytes", use.bytes},
                 {"read_bytes", use.read_bytes},
                 {"written_bytes", use.written_bytes},
                 {"page_returns", use.distance_bytes == 0 ? 0 : 1000},
                 {"page_distance_median", use.distance_bytes / kPageBytes},
                 {"loads", use.loads},
                 {"writers", Json::array()},
                 {"readers", Json::array()}};
  if (!writer.empty()) object["writers"] = {{{"function", writer}, {"bytes", 1}}};
  if (!reader.empty()) object["readers"] = {{{"function", reader}, {"bytes", 1}}};
  return object;
}

/// Loads at 64 MiB and at 8 MiB: sizes are not in order.
Json Findings() {
  Json findings = {{"marks", Json::array()}};
  findings["epc"]["sizes"] = {{{"bytes", 64 * kMebi}, {"loads", 5000}},
                              {{"bytes", 8 * kMebi}, {"loads", 20000}}};
  findings["objects"] = {
      Object("parse_network_cfg",
             {110 * kMebi, 4000 * kMebi, 110 * kMebi, 105 * kMebi, {4000, 15000}}, "im2col_cpu",
             "gemm_nn"),
      Object("make_connected_layer", {392 * kMebi, 392 * kMebi, 0, 0, {0, 3000}}, "", "gemm_nt"),
      Object("make_convolutional_layer", {12 * kMebi, 0, 12 * kMebi, 9 * kMebi, {0, 600}},
             "fill_cpu", ""),
      Object("make_convolutional_layer", {6 * kMebi, 0, 6 * kMebi, 9 * kMebi, {0, 300}}, "fill_cpu",
             ""),
      Object("make_convolutional_layer", {12 * kMebi, 50 * kMebi, 50 * kMebi, 4096, {0, 1100}},
             "gemm_nn", "gemm_nn"),
      Object("fits", {2 * kMebi, 50 * kMebi, 50 * kMebi, 4096, {0, 0}}, "gemm_nn", "gemm_nn"),
      Object("small", {64 * 1024, 0, 64 * 1024, 4096, {0, 3}}, "fill_cpu", "")};
  return findings;
}

TEST(AdviseBuffers, SaysWhatToDoAboutEachByItsUse) {
  const std::vector<Advice> advice = AdviseBuffers(Findings());
  ASSERT_EQ(advice.size(), 4u);
  EXPECT_EQ(advice[0].remedy, Remedy::kBand);
  EXPECT_EQ(advice[0].what,
            "buffer of parse_network_cfg (written by im2col_cpu, read by gemm_nn), 110 MiB: work "
            "on a band of it at a time");
  EXPECT_EQ(advice[0].number, "median reuse distance 105 MiB, more than an EPC of 8 MiB");
  EXPECT_EQ(advice[0].effect,
            "spares up to 15000 of 20000 page loads (75 %) at an EPC of 8 MiB, 4000 of 5000 page "
            "loads (80 %) at an EPC of 64 MiB");
  EXPECT_EQ(advice[1].remedy, Remedy::kStream);
  EXPECT_EQ(advice[1].what,
            "buffer of make_connected_layer (read by gemm_nt), 392 MiB: stream it through a small "
            "buffer, do not keep it");
  EXPECT_EQ(advice[1].effect,
            "frees 392 MiB, spares up to 3000 of 20000 page loads (15 %) at an EPC of 8 MiB");
  EXPECT_NE(advice[2].number.find("come back within 4 KiB, yet each page is loaded 0.4 times"),
            std::string::npos);
}

TEST(AdviseBuffers, JoinsThoseThatAreUsedAlike) {
  const std::vector<Advice> advice = AdviseBuffers(Findings());
  ASSERT_EQ(advice.size(), 4u);
  EXPECT_EQ(advice[3].remedy, Remedy::kDrop);
  EXPECT_EQ(advice[3].what,
            "2 buffers of make_convolutional_layer (written by fill_cpu), 18 MiB in all: do not "
            "make them");
  EXPECT_EQ(advice[3].number, "18 MiB written, never read");
  EXPECT_EQ(advice[3].positions, (std::vector<size_t>{2, 3}));
}

TEST(AdviseBuffers, CallsThemByTheirRoleAndLayer) {
  Json findings = Findings();
  Json& objects = findings["objects"];
  objects[0]["role"] = "im2col workspace";
  objects[0]["layer"] = "convolution 2 (conv1_2), 3x3x64 at 224x224";
  objects[2]["role"] = objects[3]["role"] = "output gradient";
  objects[2]["layer"] = "convolution 1";
  objects[3]["layer"] = "convolution 2";
  const std::vector<Advice> advice = AdviseBuffers(findings);
  ASSERT_EQ(advice.size(), 4u);
  EXPECT_TRUE(advice[0].what.starts_with(
      "im2col workspace (largest: convolution 2 (conv1_2), 3x3x64 at 224x224), 110 MiB: "));
  EXPECT_TRUE(advice[3].what.starts_with(
      "output gradients of convolution 1, convolution 2, 18 MiB in all: "));
}

TEST(AdviseBuffers, AnOutputIsNeverStreamedAndWeightsAreReadOncePerPrediction) {
  Json findings = Findings();
  findings["objects"][1]["role"] = "output";
  EXPECT_EQ(AdviseBuffers(findings)[1].remedy, Remedy::kBand);
  findings["objects"][1]["role"] = "weights";
  findings["objects"][1]["read_bytes"] = 2 * 392 * kMebi;
  EXPECT_EQ(AdviseBuffers(findings)[1].remedy, Remedy::kBand);
  for (const uint64_t label : {0, 1, 2, 3}) findings["marks"].push_back({{"label", label}});
  EXPECT_EQ(AdviseBuffers(findings)[1].remedy, Remedy::kStream);
}

TEST(AdviseBuffers, WhatOnlyTrainingReadsIsDroppedWhateverItsNeighboursDo) {
  Json findings = Findings();
  findings["objects"][4]["role"] = "output gradient";
  EXPECT_EQ(AdviseBuffers(findings)[2].remedy, Remedy::kDrop);
}

TEST(AdviseBuffers, WhatIsMostOfTheRestIsNotHiddenByTheWorst) {
  Json findings = Findings();
  findings["epc"]["sizes"][1]["loads"] = 500'000;
  findings["objects"][0]["loads"][1] = 490'000;
  const std::vector<Advice> advice = AdviseBuffers(findings);
  ASSERT_EQ(advice.size(), 4u);
  // 1,100 of half a million, and of the 7,000 that are left.
  EXPECT_NE(advice[2].what.find("gemm_nn"), std::string::npos) << advice[2].what;
  EXPECT_NE(advice[2].number.find("loaded"), std::string::npos) << advice[2].number;
}

TEST(AdviseBuffers, NothingWithoutAllocations) {
  Json findings = Findings();
  findings.erase("objects");
  EXPECT_TRUE(AdviseBuffers(findings).empty());
  findings["objects"] = Json::array();
  EXPECT_TRUE(AdviseBuffers(findings).empty());
}

TEST(BuffersName, NamesFourLayersAndCountsTheOthers) {
  Json objects = Json::array();
  std::vector<size_t> positions;
  for (size_t i = 0; i < 6; ++i) {
    Json object = Object("f", {kMebi, 0, 0, 0, {}}, "", "");
    object["role"] = "output";
    object["layer"] = "convolution " + std::to_string(i + 1);
    objects.push_back(object);
    positions.push_back(i);
  }
  EXPECT_EQ(BuffersName(objects, positions),
            "outputs of convolution 1, convolution 2, convolution 3, convolution 4 and 2 more, 6 "
            "MiB in all");
  EXPECT_EQ(BuffersName(objects, {2}), "output of convolution 3, 1 MiB");
}

}  // namespace
}  // namespace coracle::characterize
