// TraceAnalysis: everything that is found out from one run's accesses and memory calls, while they
// come in; no trace is kept.
//
// Pages are always followed exactly; lines (or what granularities are asked for) exactly or by a
// sample. A page that is unmapped, discarded (MADV_DONTNEED) or given back by brk is forgotten: its
// next touch is a first one, which needs no load. A page that mremap moves stays the same page.
// What accesses are counted of: the mapping and the kind of memory, the function that makes them,
// the block of memory and the call path that asked for it, the layer. They are gathered by page and
// function (Tally) before they are handed on to all of these.
// Memory: about 25 bytes a line that was touched, 41 % of the program's footprint at full detail.
// Threads: one at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "characterize/analysis/access_volume.h"
#include "characterize/analysis/function_uses.h"
#include "characterize/analysis/layer_uses.h"
#include "characterize/analysis/load_timeline.h"
#include "characterize/analysis/object_map.h"
#include "characterize/analysis/region_map.h"
#include "characterize/program/access_run.h"
#include "characterize/program/memory_map.h"
#include "characterize/program/trace_names.h"
#include "characterize/reuse/dense_ids.h"
#include "characterize/reuse/distance_histogram.h"
#include "characterize/reuse/epc_caches.h"
#include "characterize/reuse/reuse_level.h"
#include "characterize/reuse/working_set.h"

namespace coracle::characterize {

class TraceAnalysis {
 public:
  struct Settings {
    std::vector<uint64_t> epc_bytes;  ///< to simulate, at most EpcCaches::kSizesMax
    uint32_t run_pages_max = 16;      ///< that are evicted together, as epcrun does
    /// Granularities beside pages: 2^shift bytes, kLineShift <= shift < kPageShift.
    std::vector<uint32_t> shifts = {kLineShift};
    double sample_rate = 1;  ///< of granules smaller than a page
  };
  explicit TraceAnalysis(const Settings& settings);

  void Consume(std::span<const AccessRun> runs);
  /// The kernel reads or writes [begin, begin + bytes) in the program's stead (a system call's
  /// buffer): each line is one access.
  void ConsumeKernel(uint64_t begin, uint64_t bytes, bool writes);

  /// The program begins: its libraries are loaded, and epcrun would have taken over. From then on
  /// it has anonymous memory in the place of writable file mappings (emulator/preload/adoption.h):
  /// filled whole, those of now at once and later ones when they are made, and evicted as any
  /// other.
  void Begin();

  // Memory calls, after they succeeded.
  void Map(Mapping mapping);
  void Unmap(uint64_t begin, uint64_t bytes);
  void Discard(uint64_t begin, uint64_t bytes);
  void Move(uint64_t from, uint64_t from_bytes, uint64_t to, uint64_t to_bytes);
  void SetBreak(uint64_t address);

  // What the program says of itself (base/trace_note.h).

  /// A block of memory; smaller ones than ObjectMap::kBytesLeast are not followed.
  void Allocate(uint64_t address, uint64_t bytes, CallPathIndex path);
  void Free(uint64_t address);
  using Region = characterize::Region;
  /// They take the place of those before. Accesses to them count as their kind, line by line, in
  /// whatever mapping they lie; a page counts as that of the access that enters it.
  void SetRegions(const std::vector<Region>& regions);
  /// What follows belongs to this layer; empty: to none.
  void BeginLayer(std::string_view name);

  /// All counts begin anew, and time with them. What is mapped, allocated, resident in an EPC and
  /// on the LRU stacks stays, so that what follows is counted as that of a program that has run for
  /// a while: a page or line is cold only if it was never touched before either.
  void Restart();

  /// What the program asked to have noted: where the counts stand. No more than kMarksMax are kept.
  static constexpr size_t kMarksMax = 4096;
  struct Mark {
    uint64_t label = 0;
    uint64_t accesses = 0;
    uint64_t first_touches = 0;
    std::vector<uint64_t> loads;  ///< by EPC size
  };
  void AddMark(uint64_t label);
  /// Settles what is pending, so that the findings below hold all that was consumed.
  void Settle() { CloseTallies(); }

  // Findings, at any moment after Settle.

  struct MappingUse {
    Volume volume;
    uint64_t pages = 0;         ///< that were touched
    DistanceHistogram returns;  ///< page distances of at least 1
  };
  struct KindUse {
    Volume volume;
    uint64_t pages = 0;  ///< that were touched as this kind
  };
  /// Lines by how often their bytes were touched on average: the bytes of all accesses to a line,
  /// divided by kLineBytes and rounded up.
  struct LineUse {
    uint64_t once = 0;
    uint64_t twice = 0;
    uint64_t many = 0;
  };

  uint64_t accesses() const { return now_; }
  uint64_t kernel_accesses() const { return kernel_accesses_; }
  uint64_t pages_peak() const { return pages_peak_; }
  const MemoryMap& map() const { return map_; }
  /// By MappingIndex; may be shorter than the map.
  const std::vector<MappingUse>& mapping_uses() const { return uses_; }
  const std::array<KindUse, kMemoryKindCount>& kind_uses() const { return kinds_; }
  const FunctionUses& functions() const { return functions_; }
  const ObjectMap& objects() const { return objects_; }
  const LayerUses& layers() const { return layers_; }
  LineUse line_use() const;
  const ReuseLevel& pages() const { return pages_; }
  const std::vector<ReuseLevel>& levels() const { return levels_; }
  const WorkingSet& working_set() const { return working_set_; }
  const LoadTimeline& timeline() const { return timeline_; }
  const EpcCaches& epc() const { return epc_; }
  const std::vector<Mark>& marks() const { return marks_; }
  const Settings& settings() const { return settings_; }

 private:
  static constexpr uint32_t kTalliesShift = 5;
  static constexpr uint64_t kNoPage = UINT64_MAX;

  /// A count of accesses begins with Restart, or at the start.
  struct PageState {
    uint64_t touched_at = WorkingSet::kNever;  ///< within this count
    ObjectMap::Owner owner;
    uint64_t owner_version = UINT64_MAX;             ///< that `owner` is of
    BlockIndex touched_block = ObjectMap::kNoBlock;  ///< that it was last touched as part of
    MappingIndex mapping = {};
    uint16_t touched_kinds = 0;  ///< within this count: a bit for each kind
    MemoryKind kind = MemoryKind::kUnknown;
    bool evictable = false;  ///< by epcrun
    bool fresh = true;       ///< neither touched nor filled yet
  };
  /// What one function has accessed of one page's lines of one kind, before it is handed on.
  struct Tally {
    uint64_t first_line = 0;
    uint64_t line_count = 0;  ///< 0: not in use
    Volume volume;
    uint64_t last_at = 0;  ///< when its last access was made
    ObjectMap::Owner owner;
    uint32_t page_id = DenseIds::kNone;
    MappingIndex mapping = {};
    FunctionIndex function{};
    MemoryKind kind = MemoryKind::kUnknown;
    bool pins = false;  ///< the first write pins the page
  };

  void Consume(const AccessRun& run);
  void EnterPage(uint64_t page, const Tally& tally, uint64_t touches);
  void CountLoads(const Tally& tally, uint32_t memories);
  uint32_t IdOf(uint64_t page);
  void NamePage(uint64_t page, PageState& state);
  Tally& TallyOf(uint64_t page, FunctionIndex function) {
    // Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4).
    const uint64_t key = page + (static_cast<uint64_t>(function) << 40);
    return tallies_[key * 0x9e3779b97f4a7c15u >> (64 - kTalliesShift)];
  }
  void OpenTally(Tally& tally, const AccessRun& run);
  void CloseTally(Tally& tally);
  void CloseTallies();
  void Forget(uint64_t begin, uint64_t end);
  void ForgetPage(uint64_t page);
  static void CountLine(uint32_t bytes, LineUse& use);

  Settings settings_;
  MemoryMap map_;
  RegionMap regions_;
  DenseIds page_ids_;
  std::vector<PageState> page_states_;  ///< by page id
  std::vector<uint32_t> line_bytes_;    ///< by line id: volume, saturated
  std::array<Tally, size_t{1} << kTalliesShift> tallies_;
  ReuseLevel pages_;
  std::vector<ReuseLevel> levels_;
  WorkingSet working_set_;
  LoadTimeline timeline_;
  EpcCaches epc_;
  std::vector<MappingUse> uses_;
  std::array<KindUse, kMemoryKindCount> kinds_;
  FunctionUses functions_;
  ObjectMap objects_;
  LayerUses layers_;
  std::vector<Mark> marks_;
  LineUse forgotten_;
  bool began_ = false;
  uint64_t now_ = 0;
  uint64_t kernel_accesses_ = 0;
  uint64_t pages_peak_ = 0;
  uint64_t page_ = kNoPage;  ///< of the last run; kNoPage: it is to be entered anew
  MemoryKind page_kind_ = MemoryKind::kUnknown;  ///< as it was entered
};

}  // namespace coracle::characterize
