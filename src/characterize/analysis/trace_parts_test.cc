// Who accesses what, against plain books (trace_books_for_test.h).
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/index.h"
#include "characterize/analysis/trace_analysis.h"
#include "characterize/analysis/trace_books_for_test.h"

namespace coracle::characterize {
namespace {

constexpr uint16_t kFunctions = 6;

TraceAnalysis::Settings SomeSettings() {
  TraceAnalysis::Settings settings;
  for (const uint64_t pages : kEpcPages) settings.epc_bytes.push_back(pages * kPageBytes);
  return settings;
}

void ExpectEqual(const Volume& a, const Volume& b) {
  EXPECT_EQ(a.reads, b.reads);
  EXPECT_EQ(a.writes, b.writes);
  EXPECT_EQ(a.read_bytes, b.read_bytes);
  EXPECT_EQ(a.written_bytes, b.written_bytes);
}

void ExpectEqual(const LoadCounts& loads, const Book& book) {
  for (size_t i = 0; i < kEpcPages.size(); ++i) EXPECT_EQ(loads[i], book.loads[i]);
}

void ExpectEqual(const DistanceHistogram& a, const DistanceHistogram& b) {
  EXPECT_EQ(a.total(), b.total());
  EXPECT_EQ(a.cold(), b.cold());
  ASSERT_EQ(a.Buckets().size(), b.Buckets().size());
  for (size_t i = 0; i < a.Buckets().size(); ++i) {
    EXPECT_EQ(a.Buckets()[i].begin, b.Buckets()[i].begin);
    EXPECT_EQ(a.Buckets()[i].weight, b.Buckets()[i].weight);
  }
}

void ExpectEqual(const ObjectMap::Object& object, const BlockBook& book) {
  EXPECT_EQ(object.begin, book.begin);
  EXPECT_EQ(object.bytes, book.bytes);
  EXPECT_EQ(object.ordinal, book.ordinal);
  EXPECT_EQ(Position(object.path), book.path);
  EXPECT_EQ(object.allocated_at, book.allocated_at);
  EXPECT_EQ(object.freed_at, book.freed_at.value_or(ObjectMap::kNever));
  EXPECT_EQ(object.first_access, book.first.value_or(ObjectMap::kNever));
  EXPECT_EQ(object.last_access, book.last.value_or(ObjectMap::kNever));
  EXPECT_EQ(object.pages, book.pages);
  ExpectEqual(object.volume, book.volume);
  ExpectEqual(object.loads, book);
  ExpectEqual(object.returns, book.returns);
  ASSERT_EQ(object.accessors.size(), book.accessors.size());
  for (const ObjectMap::Accessor& accessor : object.accessors) {
    const Volume& volume = book.accessors.at(static_cast<uint16_t>(accessor.function));
    EXPECT_EQ(accessor.read_bytes, volume.read_bytes);
    EXPECT_EQ(accessor.written_bytes, volume.written_bytes);
  }
}

void ExpectEqualBlocks(const TraceAnalysis& analysis, const Books& books) {
  const std::vector<ObjectMap::Object>& objects = analysis.objects().objects();
  ASSERT_EQ(objects.size(), books.blocks.size());
  for (const ObjectMap::Object& object : objects) {
    SCOPED_TRACE("block " + std::to_string(Position(object.index)));
    ExpectEqual(object, books.blocks.at(Position(object.index)));
  }
  for (const auto& [path, book] : books.paths) {
    SCOPED_TRACE("path " + std::to_string(path));
    const ObjectMap::PathUse& use = analysis.objects().paths().at(path);
    EXPECT_EQ(use.allocations, book.allocations);
    EXPECT_EQ(use.bytes, book.bytes);
    EXPECT_EQ(use.live_bytes, book.live);
    EXPECT_EQ(use.live_bytes_max, book.live_max);
    EXPECT_EQ(use.pages, book.pages);
    ExpectEqual(use.volume, book.volume);
    ExpectEqual(use.loads, book);
  }
}

void ExpectEqualLayers(const TraceAnalysis& analysis, const Books& books) {
  ASSERT_EQ(analysis.layers().layers().size(), books.layers.size());
  for (const LayerUses::Layer& layer : analysis.layers().layers()) {
    SCOPED_TRACE("layer " + layer.name);
    const LayerBook& book = books.layers.at(layer.name);
    EXPECT_EQ(layer.entered, book.entered);
    EXPECT_EQ(layer.pages, book.pages);
    EXPECT_EQ(layer.cold_pages, book.cold);
    ExpectEqual(layer.loads, book);
    for (size_t i = 0; i < kMemoryKindCount; ++i) {
      const auto kind = book.kinds.find(static_cast<MemoryKind>(i));
      ExpectEqual(layer.volumes[i], kind == book.kinds.end() ? Volume() : kind->second);
    }
  }
}

void ExpectEqualTotals(const TraceAnalysis& analysis, const Books& books) {
  EXPECT_EQ(analysis.accesses(), books.now);
  EXPECT_EQ(analysis.epc().first_touches(), books.first_touches());
  for (size_t i = 0; i < kEpcPages.size(); ++i) {
    EXPECT_EQ(analysis.epc().counts(i).loads, books.loads(i));
    EXPECT_EQ(analysis.epc().counts(i).evictions, books.evictions(i));
  }
  ExpectEqual(analysis.pages().Histogram(), books.page_distances);
  const TraceAnalysis::MappingUse use =
      analysis.mapping_uses().empty() ? TraceAnalysis::MappingUse() : analysis.mapping_uses().at(1);
  ExpectEqual(use.returns, books.mapping_returns);
  EXPECT_EQ(use.pages, books.mapping_pages);
  for (size_t i = 0; i < kMemoryKindCount; ++i) {
    SCOPED_TRACE(MemoryKindName(static_cast<MemoryKind>(i)));
    const auto at = books.kinds.find(static_cast<MemoryKind>(i));
    const Book book = at == books.kinds.end() ? Book() : at->second;
    ExpectEqual(analysis.kind_uses()[i].volume, book.volume);
    EXPECT_EQ(analysis.kind_uses()[i].pages, book.pages);
    // Lines count as their own kind, too.
    EXPECT_EQ(analysis.levels()[0].Histogram(static_cast<MemoryKind>(i)).total(),
              static_cast<double>(book.volume.accesses()));
  }
  for (const auto& [function, book] : books.functions) {
    ExpectEqual(analysis.functions().uses().at(function).volume, book.volume);
    ExpectEqual(analysis.functions().uses().at(function).loads, book);
  }
}

void ExpectEqualTimes(const TraceAnalysis& analysis, const Books& books) {
  const WorkingSet::Windows windows = analysis.working_set().Finest();
  ASSERT_EQ(windows.shift, WorkingSet::kShifts[0]);
  for (const auto& [window, pages] : books.windows) {
    EXPECT_EQ(windows.pages.at(window), pages);
  }
  for (const auto& [window, loads] : books.loads_by_window) {
    for (size_t i = 0; i < kEpcPages.size(); ++i) {
      const std::vector<uint64_t> found = analysis.timeline().Windows(i, windows.shift);
      EXPECT_EQ(window < found.size() ? found[window] : 0, loads[i]);
    }
  }
}

void ExpectEqual(TraceAnalysis& analysis, const Books& books) {
  analysis.Settle();
  ExpectEqualTotals(analysis, books);
  ExpectEqualBlocks(analysis, books);
  ExpectEqualLayers(analysis, books);
  ExpectEqualTimes(analysis, books);
}

/// Does the same to both.
class Program {
 public:
  explicit Program(uint32_t seed) : analysis_(SomeSettings()), random_(seed) {
    analysis_.Map({MemoryKind::kAnonymous, true, kBase, kPages * kPageBytes, "", false});
  }

  void Run(int steps) {
    for (int step = 0; step < steps; ++step) {
      const uint64_t what = Below(1000);
      if (what < 8) {
        Allocate();
      } else if (what < 12) {
        Free();
      } else if (what < 16) {
        SetRegions();
      } else if (what < 24) {
        const std::string name = Below(5) == 0 ? "" : "layer " + std::to_string(Below(4));
        analysis_.BeginLayer(name);
        books_.BeginLayer(name);
      } else if (what < 26) {
        Discard();
      } else {
        Access();
      }
    }
  }
  void Restart() {
    analysis_.Restart();
    books_.Restart();
  }
  void Check() { ExpectEqual(analysis_, books_); }

 private:
  uint64_t Below(uint64_t bound) { return random_() % bound; }

  void Allocate() {
    const uint64_t bytes = ObjectMap::kBytesLeast + Below(20 * kPageBytes) / 8 * 8;
    const uint64_t begin = kBase + Below(kPages * kPageBytes - bytes) / 8 * 8;
    const auto path = static_cast<uint32_t>(Below(5));
    analysis_.Allocate(begin, bytes, CallPathIndex{path});
    books_.Allocate(begin, bytes, path);
    begins_.push_back(begin);
  }
  void Free() {
    // Some of them are long gone.
    const uint64_t begin = begins_.empty() ? kBase : begins_[Below(begins_.size())];
    analysis_.Free(begin);
    books_.Free(begin);
  }
  void SetRegions() {
    std::vector<Region> regions;
    uint64_t at = kBase;
    for (uint64_t left = Below(8); left > 0; --left) {
      at += Below(30 * kPageBytes) / 8 * 8;
      const uint64_t bytes = Below(4) == 0 ? Below(200) : Below(10 * kPageBytes);
      const auto kind =
          static_cast<MemoryKind>(static_cast<uint64_t>(MemoryKind::kWeights) + Below(3));
      if (bytes != 0) regions.push_back({at, bytes, kind});
      at += bytes;
    }
    std::shuffle(regions.begin(), regions.end(), random_);
    analysis_.SetRegions(regions);
    books_.SetRegions(regions);
  }
  void Discard() {
    const uint64_t page = Below(kPages);
    analysis_.Discard((kFirstPage + page) << kPageShift, kPageBytes);
    books_.Discard(page);
  }
  void Access() {
    // Mostly on, sometimes elsewhere, and a few pages again and again.
    if (Below(10) == 0) line_ = Below(kPages * kLinesPerPage);
    line_ = (line_ + Below(3)) % (kPages * kLinesPerPage);
    const uint64_t line = Below(4) == 0 ? Below(3 * kLinesPerPage) : line_;
    const auto reads = static_cast<uint16_t>(Below(4));
    const auto writes = static_cast<uint16_t>(Below(3) + (reads == 0 ? 1 : 0));
    const AccessRun run{kBase / kLineBytes + line,
                        reads,
                        writes,
                        static_cast<uint16_t>(reads * 8),
                        static_cast<uint16_t>(writes * 4),
                        FunctionIndex{static_cast<uint16_t>(Below(kFunctions))}};
    analysis_.Consume(std::span(&run, 1));
    books_.Access(run);
  }

  TraceAnalysis analysis_;
  Books books_;
  std::mt19937_64 random_;
  std::vector<uint64_t> begins_;
  uint64_t line_ = 0;
};

TEST(TraceParts, EqualPlainBooks) {
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Program program(seed);
    for (int turn = 0; turn < 4; ++turn) {
      program.Run(3000);
      program.Check();
    }
  }
}

TEST(TraceParts, EqualPlainBooksThatBeginAnew) {
  for (uint32_t seed = 11; seed <= 14; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Program program(seed);
    for (int turn = 0; turn < 3; ++turn) {
      program.Run(3000);
      program.Restart();
      program.Check();
      program.Run(2000);
      program.Check();
    }
  }
}

TEST(TraceParts, AfterARestartNothingIsColdThatWasTouched) {
  TraceAnalysis analysis(SomeSettings());
  analysis.Map({MemoryKind::kAnonymous, true, kBase, kPages * kPageBytes, "", false});
  const auto walk = [&analysis](uint64_t pages) {
    for (uint64_t page = 0; page < pages; ++page) {
      const AccessRun run{(kFirstPage + page) * kLinesPerPage, 1, 0, 8, 0, {}};
      analysis.Consume(std::span(&run, 1));
    }
  };
  walk(50);
  analysis.AddMark(1);
  analysis.Restart();
  walk(60);
  analysis.Settle();
  EXPECT_EQ(analysis.accesses(), 60u);
  EXPECT_EQ(analysis.pages().Histogram().cold(), 10);
  EXPECT_EQ(analysis.levels()[0].Histogram().cold(), 10);
  EXPECT_EQ(analysis.line_use().once, 60u);
  EXPECT_EQ(analysis.mapping_uses()[1].pages, 60u);
  EXPECT_EQ(analysis.epc().first_touches(), 10u);
  EXPECT_EQ(analysis.pages_peak(), 60u);
  EXPECT_TRUE(analysis.marks().empty());
}

TEST(TraceParts, ASampleGoesOnAfterARestart) {
  TraceAnalysis::Settings settings = SomeSettings();
  TraceAnalysis exact(settings);
  settings.sample_rate = 0.2;
  TraceAnalysis sampled(settings);
  constexpr uint64_t kLines = 20'000;
  for (TraceAnalysis* analysis : {&exact, &sampled}) {
    std::mt19937_64 random(3);
    for (int i = 0; i < 400'000; ++i) {
      if (i == 100'000) analysis->Restart();
      const uint64_t line = random() % kLines * (random() % 4 == 0 ? 1 : 0) + random() % 200;
      const AccessRun run{kBase / kLineBytes + line, 1, 0, 8, 0, {}};
      analysis->Consume(std::span(&run, 1));
    }
    analysis->Settle();
  }
  const DistanceHistogram truth = exact.levels()[0].Histogram();
  const DistanceHistogram estimate = sampled.levels()[0].Histogram();
  EXPECT_NEAR(estimate.total(), truth.total(), 1);
  for (uint64_t capacity = 1; capacity < kLines; capacity += 200) {
    EXPECT_NEAR(estimate.MissRatio(capacity), truth.MissRatio(capacity), 0.03) << capacity;
  }
}

}  // namespace
}  // namespace coracle::characterize
