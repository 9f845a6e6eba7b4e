#include "characterize/analysis/trace_analysis.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cerrno>
#include <random>

#include "characterize/analysis/findings.h"
#include "characterize/reuse/traces_for_test.h"

namespace coracle::characterize {
namespace {

constexpr uint64_t kBase = 0x7f0000000000;

TraceAnalysis::Settings SomeSettings() {
  TraceAnalysis::Settings settings;
  settings.epc_bytes = {64 * kPageBytes, 1024 * kPageBytes};
  settings.shifts = {6, 9};
  return settings;
}

Mapping Anonymous(uint64_t begin, uint64_t pages) {
  return {MemoryKind::kAnonymous, true, begin, pages * kPageBytes, "", false};
}

void Read(TraceAnalysis& analysis, uint64_t address, uint16_t count = 1) {
  const AccessRun run{address >> kLineShift, count, 0, static_cast<uint16_t>(count * 8), 0, {}};
  analysis.Consume(std::span(&run, 1));
}

DistanceHistogram HistogramOf(const std::vector<uint64_t>& distances) {
  DistanceHistogram histogram;
  for (const uint64_t distance : distances) histogram.Add(distance);
  return histogram;
}

void ExpectEqual(const DistanceHistogram& a, const DistanceHistogram& b) {
  EXPECT_EQ(HistogramJson(a), HistogramJson(b));
  EXPECT_EQ(a.total(), b.total());
}

TEST(TraceAnalysis, DistancesAreExactAtEveryGranularity) {
  for (const NamedTrace& trace : SyntheticTraces(20'000, 5000)) {
    TraceAnalysis analysis(SomeSettings());
    analysis.Map(Anonymous(kBase, 1 << 12));
    std::vector<uint64_t> keys[3];
    for (const uint64_t key : trace.keys) {
      const uint64_t address = kBase + key * 200;
      Read(analysis, address);
      keys[0].push_back(address >> 6);
      keys[1].push_back(address >> 9);
      keys[2].push_back(address >> 12);
    }
    analysis.Settle();
    ExpectEqual(analysis.levels()[0].Histogram(), HistogramOf(DistancesByList(keys[0])));
    ExpectEqual(analysis.levels()[1].Histogram(), HistogramOf(DistancesByList(keys[1])));
    ExpectEqual(analysis.pages().Histogram(), HistogramOf(DistancesByList(keys[2])));
    EXPECT_EQ(analysis.accesses(), trace.keys.size());
  }
}

TEST(TraceAnalysis, WhatWasUnmappedIsTouchedForTheFirstTimeAgain) {
  TraceAnalysis analysis(SomeSettings());
  analysis.Map(Anonymous(kBase, 200));
  for (int turn = 0; turn < 2; ++turn) {
    for (uint64_t page = 0; page < 200; ++page) Read(analysis, kBase + page * kPageBytes);
    if (turn == 0) analysis.Discard(kBase, 100 * kPageBytes);
  }
  analysis.Settle();
  EXPECT_EQ(analysis.pages().Histogram().cold(), 300);
  EXPECT_EQ(analysis.levels()[0].Histogram().cold(), 300);
  EXPECT_EQ(analysis.epc().first_touches(), 300u);
  EXPECT_EQ(analysis.epc().counts(0).loads, 100u);
  EXPECT_EQ(analysis.epc().counts(1).loads, 0u);
  EXPECT_EQ(analysis.pages_peak(), 200u);
}

TEST(TraceAnalysis, WhatWasMovedIsKept) {
  TraceAnalysis analysis(SomeSettings());
  analysis.Map(Anonymous(kBase, 20));
  for (uint64_t page = 0; page < 20; ++page) Read(analysis, kBase + page * kPageBytes);
  analysis.Move(kBase, 20 * kPageBytes, 2 * kBase, 40 * kPageBytes);
  for (uint64_t page = 0; page < 30; ++page) Read(analysis, 2 * kBase + page * kPageBytes);
  analysis.Settle();
  EXPECT_EQ(analysis.pages().Histogram().cold(), 30);
  EXPECT_EQ(analysis.pages().Histogram(MemoryKind::kAnonymous).total(), 50);
}

TEST(TraceAnalysis, OnlyAnonymousMemoryIsEvicted) {
  TraceAnalysis analysis(SomeSettings());
  analysis.Map({MemoryKind::kFile, false, kBase, 500 * kPageBytes, "/lib/code.so", false});
  analysis.Map(
      {MemoryKind::kProgramData, false, 2 * kBase, 40 * kPageBytes, "/lib/code.so", false});
  for (int turn = 0; turn < 2; ++turn) {
    for (uint64_t page = 0; page < 500; ++page) Read(analysis, kBase + page * kPageBytes);
    for (uint64_t page = 0; page < 40; ++page) Read(analysis, 2 * kBase + page * kPageBytes);
  }
  EXPECT_EQ(analysis.epc().first_touches(), 0u);
  EXPECT_EQ(analysis.epc().pinned_pages(), 0u);
  analysis.ConsumeKernel(2 * kBase, 3 * kPageBytes + 1, true);
  EXPECT_EQ(analysis.epc().pinned_pages(), 4u);
  EXPECT_EQ(analysis.kernel_accesses(), 3u * kLinesPerPage + 1);
}

TEST(TraceAnalysis, DataOfLibrariesThatAreThereIsTakenOver) {
  TraceAnalysis analysis(SomeSettings());
  analysis.Map({MemoryKind::kProgramData, false, kBase, 40 * kPageBytes, "/lib/code.so", false});
  // Its end became .bss; the loader wrote to some of it.
  analysis.Map(Anonymous(kBase + 30 * kPageBytes, 10));
  analysis.ConsumeKernel(kBase, 3 * kPageBytes, true);
  EXPECT_EQ(analysis.epc().pinned_pages(), 3u);
  analysis.Begin();
  EXPECT_EQ(analysis.epc().pinned_pages(), 0u);
  EXPECT_EQ(analysis.epc().counts(0).resident_pages, 30u);
  analysis.ConsumeKernel(kBase, 30 * kPageBytes, true);
  EXPECT_EQ(analysis.epc().pinned_pages(), 0u);
  EXPECT_EQ(analysis.epc().counts(0).loads, 0u);
  // Others push it out, and it is loaded again.
  analysis.Map(Anonymous(2 * kBase, 200));
  for (uint64_t page = 0; page < 200; ++page) Read(analysis, 2 * kBase + page * kPageBytes);
  Read(analysis, kBase + 5 * kPageBytes);
  EXPECT_EQ(analysis.epc().counts(0).loads, 1u);
  EXPECT_EQ(analysis.epc().first_touches(), 200u);
}

TEST(TraceAnalysis, DataOfLaterLibrariesIsFilledAndMayBeEvicted) {
  TraceAnalysis analysis(SomeSettings());
  analysis.Begin();
  analysis.Map({MemoryKind::kProgramData, false, kBase, 100 * kPageBytes, "/lib/late.so", false});
  EXPECT_LE(analysis.epc().counts(0).resident_pages, 64u);
  EXPECT_EQ(analysis.epc().counts(0).resident_pages + analysis.epc().counts(0).evictions, 100u);
  EXPECT_EQ(analysis.epc().counts(1).resident_pages, 100u);
  Read(analysis, kBase);
  EXPECT_EQ(analysis.epc().counts(0).loads, 1u);
  EXPECT_EQ(analysis.epc().counts(1).loads, 0u);
  EXPECT_EQ(analysis.epc().first_touches(), 0u);
  analysis.Unmap(kBase, 100 * kPageBytes);
  EXPECT_EQ(analysis.epc().counts(1).resident_pages, 0u);
}

TEST(TraceAnalysis, LinesCountByTheBytesAccessed) {
  TraceAnalysis analysis(SomeSettings());
  analysis.Map(Anonymous(kBase, 4));
  Read(analysis, kBase, 8);
  Read(analysis, kBase + 64, 9);
  Read(analysis, kBase + 128, 100);
  Read(analysis, kBase + kPageBytes, 1);
  analysis.Unmap(kBase + kPageBytes, kPageBytes);
  EXPECT_EQ(analysis.line_use().once, 2u);
  EXPECT_EQ(analysis.line_use().twice, 1u);
  EXPECT_EQ(analysis.line_use().many, 1u);
}

TEST(TraceAnalysis, ASampleOfLinesIsNearTheTruthAndSaysHowNear) {
  const NamedTrace trace = SyntheticTraces(400'000, 100'000)[2];
  TraceAnalysis::Settings settings = SomeSettings();
  settings.shifts = {6};
  TraceAnalysis exact(settings);
  settings.sample_rate = 0.05;
  TraceAnalysis sampled(settings);
  for (TraceAnalysis* analysis : {&exact, &sampled}) {
    analysis->Map(Anonymous(kBase, 1 << 12));
    for (const uint64_t key : trace.keys) Read(*analysis, kBase + key * 64, 3);
    analysis->Settle();
  }
  const DistanceHistogram truth = exact.levels()[0].Histogram();
  const DistanceHistogram estimate = sampled.levels()[0].Histogram();
  for (uint64_t capacity = 1; capacity < 120'000; capacity += 1000) {
    EXPECT_NEAR(estimate.MissRatio(capacity), truth.MissRatio(capacity), 0.02) << capacity;
  }
  EXPECT_NEAR(estimate.total(), truth.total(), 1);
  EXPECT_GT(sampled.levels()[0].expected_error(), 0);
  EXPECT_LT(sampled.levels()[0].expected_error(), 0.05);
  ExpectEqual(sampled.pages().Histogram(), exact.pages().Histogram());
}

TEST(WorkingSet, CountsPagesByWindow) {
  TraceAnalysis analysis(SomeSettings());
  analysis.Map(Anonymous(kBase, 100));
  for (int i = 0; i < 3 << 12; ++i) {
    Read(analysis, kBase + static_cast<uint64_t>(i < 1 << 12 ? i % 3 : i % 50) * kPageBytes);
  }
  analysis.Settle();
  const WorkingSet::Windows windows = analysis.working_set().Finest();
  EXPECT_EQ(windows.shift, 12u);
  EXPECT_EQ(windows.pages, (std::vector<uint32_t>{3, 50, 50}));
}

TEST(SystemCallLog, FollowsMemoryAndCountsCalls) {
  TraceAnalysis analysis(SomeSettings());
  SystemCallLog log([](uint64_t descriptor) { return "file " + std::to_string(descriptor); });
  const auto call = [&](int64_t number, std::array<uint64_t, 6> arguments, int64_t result) {
    log.Enter({number, arguments});
    log.Return({number, arguments}, result, analysis);
  };
  call(SYS_mmap, {0, 5000, PROT_READ, MAP_PRIVATE, 3, 0}, kBase);
  call(SYS_mmap, {kBase, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, 3, 0}, kBase);
  call(SYS_mmap,
       {kBase + 4096, 4096, PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, UINT64_MAX, 0},
       kBase + 4096);
  call(SYS_mmap, {0, 4096, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 0, 0}, -ENOMEM);
  call(SYS_clock_gettime, {1}, 0);
  call(SYS_clock_gettime, {2}, 0);
  call(SYS_clone3, {}, -ENOSYS);
  call(SYS_clone, {0x10900}, 77);
  call(SYS_fork, {}, 78);
  call(SYS_prctl, {0x45504352, 9}, -EINVAL);
  call(SYS_read, {3, kBase, 100}, 70);
  const auto mapping_at = [&](uint64_t address) {
    return analysis.map().mapping(analysis.map().Find(address)->mapping);
  };
  EXPECT_EQ(mapping_at(kBase).kind, MemoryKind::kProgramData);
  EXPECT_EQ(mapping_at(kBase).name, "file 3");
  EXPECT_EQ(mapping_at(kBase + 4096).kind, MemoryKind::kProgramData);
  EXPECT_TRUE(mapping_at(kBase + 4096).anonymous);
  EXPECT_EQ(log.calls().at(SYS_mmap).calls, 4u);
  EXPECT_EQ(log.calls().at(SYS_mmap).errors, 1u);
  EXPECT_EQ(log.calls().at(SYS_clock_gettime).calls, 1u);
  EXPECT_EQ(log.vdso_calls().at(SYS_clock_gettime).calls, 1u);
  EXPECT_EQ(log.calls().at(SYS_clone3).calls, 0u);
  EXPECT_EQ(log.threads_started(), 1u);
  EXPECT_EQ(log.processes_started(), 1u);
  ASSERT_EQ(analysis.marks().size(), 1u);
  EXPECT_EQ(analysis.marks()[0].label, 9u);
  EXPECT_EQ(analysis.kernel_accesses(), 2u);
  log.Enter({SYS_execve, {}});
  EXPECT_TRUE(log.replaced());
}

}  // namespace
}  // namespace coracle::characterize
