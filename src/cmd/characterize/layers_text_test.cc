#include "cmd/characterize/layers_text.h"

#include <gtest/gtest.h>

namespace coracle::cmd {
namespace {

Json Kind(const char* name, uint64_t read_bytes, uint64_t written_bytes) {
  return {{"kind", name}, {"read_bytes", read_bytes}, {"written_bytes", written_bytes}};
}

Json MakeReport() {
  return {{"plan",
           {{"budget_bytes", 2 << 20},
            {"pool_bytes", 1 << 20},
            {"predicted_ms", 0.5},
            {"steps", Json::array({1, 2})}}},
          {"accesses", {{"count", 1000}}},
          {"memory", {Kind("heap", 4096, 1024), Kind("weights", 8192, 2048)}},
          {"epc", {{"sizes", {{{"bytes", 8 << 20}, {"loads", 77}}}}}},
          {"layers",
           {{{"name", "conv_1"},
             {"entered", 3},
             {"accesses", 900},
             {"touched_bytes", 12288},
             {"loads", {70}},
             {"kinds", {Kind("weights", 8192, 2048), Kind("heap", 4096, 0)}}}}}};
}

TEST(LayersTextTest, SaysWhatEachLayerDidAndWhatNoneDid) {
  const std::string text = LayersText(MakeReport());
  EXPECT_NE(text.find("planned for 2 MiB: a pool of 1 MiB, 2 steps, predicted 0.50 ms"),
            std::string::npos);
  EXPECT_NE(
      text.find("\nconv_1                                3           900     12 KiB        70"),
      std::string::npos)
      << text;
  EXPECT_NE(
      text.find("\n(no layer)                                        100                    7"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find("\nconv_1                       8 KiB     2 KiB         -"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(" 4 KiB         -\n(no layer)"), std::string::npos) << text;
  EXPECT_NE(text.find("         -     1 KiB\n"), std::string::npos) << text;
}

TEST(LayersTextTest, ATraceWithoutLayersHasItsPlan) {
  Json report = MakeReport();
  report.erase("layers");
  report["plan"]["budget_bytes"] = nullptr;
  EXPECT_EQ(LayersText(report),
            "planned for unlimited memory: a pool of 1 MiB, 2 steps, predicted 0.50 ms\n");
}

}  // namespace
}  // namespace coracle::cmd
