#include "characterize/analysis/findings_by_part.h"

#include <gtest/gtest.h>

namespace coracle::characterize {
namespace {

constexpr uint64_t kBase = 0x7f0000000000;

TraceAnalysis::Settings SomeSettings() {
  TraceAnalysis::Settings settings;
  settings.epc_bytes = {32 * kPageBytes, 1024 * kPageBytes};
  return settings;
}

void Write(TraceAnalysis& analysis, uint64_t address, uint16_t function) {
  const AccessRun run{address >> kLineShift, 0, 2, 0, 16, FunctionIndex{function}};
  analysis.Consume(std::span(&run, 1));
}

TEST(FindingsByPart, SayNothingWhereNothingIsKnown) {
  TraceAnalysis analysis(SomeSettings());
  analysis.Map({MemoryKind::kAnonymous, true, kBase, 100 * kPageBytes, "", false});
  Write(analysis, kBase, 0);
  analysis.Settle();
  EXPECT_EQ(PartsJson(analysis, {}), Json::object());
  const Json all = AnalysisJson(analysis, {});
  EXPECT_EQ(all.at("memory").size(), 1u);
  EXPECT_EQ(all.at("timeline").at("pages"), Json({1}));
  EXPECT_EQ(all.at("timeline").at("loads"), Json({{0}, {0}}));
}

TEST(FindingsByPart, NameFunctionsBlocksPathsAndLayers) {
  TraceNames names;
  names.functions = {{"", ""}, {"im2col_cpu", "libdarknet.so"}, {"gemm_nn", "libdarknet.so"}};
  names.call_paths = {{}, {"calloc", "make_network"}};
  TraceAnalysis analysis(SomeSettings());
  analysis.Map({MemoryKind::kAnonymous, true, kBase, 200 * kPageBytes, "", false});
  analysis.Allocate(kBase, 64 * kPageBytes, CallPathIndex{1});
  analysis.Allocate(kBase + 64 * kPageBytes, kPageBytes, CallPathIndex{1});
  analysis.SetRegions({{kBase, 64 * kPageBytes, MemoryKind::kWorkspace}});
  analysis.BeginLayer("conv1");
  for (int turn = 0; turn < 2; ++turn) {
    for (uint64_t page = 0; page < 64; ++page) Write(analysis, kBase + page * kPageBytes, 1);
  }
  Write(analysis, kBase + 63 * kPageBytes, 2);
  analysis.BeginLayer("");
  analysis.Free(kBase);
  Write(analysis, kBase, 7);
  analysis.Settle();

  const Json json = PartsJson(analysis, names);
  const Json& function = json.at("functions").at(0);
  EXPECT_EQ(function.at("name"), "im2col_cpu");
  EXPECT_EQ(function.at("file"), "libdarknet.so");
  EXPECT_EQ(function.at("accesses"), 256);
  EXPECT_EQ(function.at("written_bytes"), 128 * 16);
  EXPECT_EQ(function.at("loads"), Json({64, 0}));
  EXPECT_EQ(json.at("functions").size(), 3u);
  EXPECT_EQ(json.at("functions").at(2).at("name"), "");

  ASSERT_EQ(json.at("objects").size(), 2u);
  const Json& object = json.at("objects").at(0);
  EXPECT_EQ(object.at("index"), 0);
  EXPECT_EQ(object.at("path"), Json({"calloc", "make_network"}));
  EXPECT_EQ(object.at("ordinal"), 1);
  EXPECT_EQ(object.at("bytes"), 64 * kPageBytes);
  EXPECT_EQ(object.at("allocated_at"), 0);
  EXPECT_EQ(object.at("freed_at"), 258);
  EXPECT_EQ(object.at("first_access"), 0);
  EXPECT_EQ(object.at("last_access"), 257);
  EXPECT_EQ(object.at("touched_bytes"), 64 * kPageBytes);
  EXPECT_EQ(object.at("writes"), 258);
  EXPECT_EQ(object.at("page_returns"), 64);
  EXPECT_EQ(object.at("page_distance_median"), 64);
  EXPECT_EQ(object.at("loads"), Json({64, 0}));
  EXPECT_EQ(object.at("writers"), Json({{{"function", "im2col_cpu"}, {"bytes", 128 * 16}},
                                        {{"function", "gemm_nn"}, {"bytes", 16}}}));
  EXPECT_EQ(object.at("readers"), Json::array());
  EXPECT_EQ(json.at("objects").at(1).at("ordinal"), 2);
  EXPECT_TRUE(json.at("objects").at(1).at("first_access").is_null());

  ASSERT_EQ(json.at("call_paths").size(), 1u);
  const Json& path = json.at("call_paths").at(0);
  EXPECT_EQ(path.at("allocations"), 2);
  EXPECT_EQ(path.at("live_bytes_max"), 65 * kPageBytes);
  EXPECT_EQ(path.at("written_bytes"), 129 * 16);

  ASSERT_EQ(json.at("layers").size(), 1u);
  const Json& layer = json.at("layers").at(0);
  EXPECT_EQ(layer.at("name"), "conv1");
  EXPECT_EQ(layer.at("entered"), 1);
  EXPECT_EQ(layer.at("accesses"), 258);
  EXPECT_EQ(layer.at("touched_bytes"), 64 * kPageBytes);
  EXPECT_EQ(layer.at("cold_bytes"), 64 * kPageBytes);
  ASSERT_EQ(layer.at("kinds").size(), 1u);
  EXPECT_EQ(layer.at("kinds").at(0).at("kind"), "workspace");

  const Json all = AnalysisJson(analysis, names);
  EXPECT_TRUE(all.at("reuse").at(0).at("kinds").contains("workspace"));
  EXPECT_EQ(all.at("memory").size(), 1u);
}

}  // namespace
}  // namespace coracle::characterize
