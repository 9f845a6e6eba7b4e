#include "cmd/characterize/object_tables.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace coracle::cmd {
namespace {

Json Findings() {
  Json findings;
  findings["epc"]["sizes"] = {{{"bytes", 16 << 20}, {"loads", 10}},
                              {{"bytes", 8 << 20}, {"loads", 5000}}};
  return findings;
}

Json Object(uint64_t loads) {
  return {{"path", {"calloc", "make_layer", "parse", "main"}},
          {"ordinal", 3},
          {"bytes", 1 << 20},
          {"touched_bytes", 512 << 10},
          {"read_bytes", 3 << 20},
          {"written_bytes", 2 << 20},
          {"page_returns", 7},
          {"page_distance_median", 255},
          {"loads", {0, loads}},
          {"writers", {{{"function", "im2col_cpu"}, {"bytes", 9}}}},
          {"readers", Json::array()}};
}

size_t Lines(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST(ObjectTables, AreAbsentWhereThereIsNothing) {
  Json findings = Findings();
  EXPECT_EQ(ObjectTable(findings), "");
  EXPECT_EQ(CallPathTable(findings), "");
  EXPECT_EQ(FunctionTable(findings), "");
  EXPECT_EQ(SmallAllocations(findings), "");
  findings["objects"] = Json::array();
  EXPECT_EQ(ObjectTable(findings), "");
}

TEST(ObjectTables, SayWhatAnObjectIsAndCosts) {
  Json findings = Findings();
  findings["objects"] = {Object(1), Object(4321)};
  findings["objects"][1]["role"] = "im2col workspace";
  findings["objects"][1]["layer"] = "convolution 2 (conv1_2), 3x3x64 at 224x224";
  const std::string text = ObjectTable(findings);
  EXPECT_NE(text.find("loads 8 MiB"), std::string::npos);
  EXPECT_NE(text.find("make_layer < parse < main #3"), std::string::npos);
  EXPECT_NE(text.find("4,321"), std::string::npos);
  EXPECT_NE(text.find("< 1 MiB"), std::string::npos);
  EXPECT_NE(text.find("im2col_cpu"), std::string::npos);
  // The costliest first, and no name past its column.
  EXPECT_LT(text.find("im2col workspace of convolution 2"), text.find("make_layer"));
  EXPECT_NE(text.find("... "), std::string::npos);
}

TEST(ObjectTables, HaveABoundedNumberOfRows) {
  Json findings = Findings();
  for (uint64_t i = 0; i < 100; ++i) {
    findings["objects"].push_back(Object(i));
    findings["functions"].push_back({{"name", "f"},
                                     {"file", "libf.so"},
                                     {"accesses", 1234567},
                                     {"read_bytes", 1},
                                     {"written_bytes", 2},
                                     {"loads", {0, 7}}});
    findings["call_paths"].push_back({{"path", {"malloc", "load"}},
                                      {"allocations", 9},
                                      {"bytes", 100},
                                      {"live_bytes_max", 50},
                                      {"touched_bytes", 50},
                                      {"read_bytes", 1},
                                      {"written_bytes", 2},
                                      {"loads", {0, 7}}});
  }
  EXPECT_EQ(Lines(ObjectTable(findings)), 19u);
  EXPECT_EQ(Lines(FunctionTable(findings)), 15u);
  EXPECT_EQ(Lines(CallPathTable(findings)), 13u);
  EXPECT_NE(FunctionTable(findings).find("1,234,567"), std::string::npos);
  EXPECT_NE(FunctionTable(findings).find("88 more functions"), std::string::npos);
}

TEST(ObjectTables, NeedNoEpcSizes) {
  Json findings = Findings();
  findings["epc"]["sizes"] = Json::array();
  findings["objects"] = {Object(1)};
  findings["objects"][0]["loads"] = Json::array();
  EXPECT_EQ(ObjectTable(findings).find("loads"), std::string::npos);
}

TEST(ObjectTables, SmallAllocationsAreCountedAndTheirAbsenceExplained) {
  Json findings = Findings();
  findings["small_allocations"] = {{{"bytes_max", 16}, {"count", 1200}, {"bytes", 9000}},
                                   {{"bytes_max", 64}, {"count", 0}, {"bytes", 0}}};
  EXPECT_EQ(SmallAllocations(findings), "small allocations: 1,200 of at most 16 B (8.79 KiB)\n");
  findings.erase("small_allocations");
  findings["allocations"] = {{"followed", false}, {"why_not", "statically linked"}};
  EXPECT_NE(SmallAllocations(findings).find("not followed: statically linked"), std::string::npos);
}

}  // namespace
}  // namespace coracle::cmd
