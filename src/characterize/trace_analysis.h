// TraceAnalysis: everything that is found out from one run's accesses and memory calls, while they
// come in; no trace is kept.
//
// Pages are always followed exactly; lines (or what granularities are asked for) exactly or by a
// sample. A page that is unmapped, discarded (MADV_DONTNEED) or given back by brk is forgotten: its
// next touch is a first one, which needs no load. A page that mremap moves stays the same page.
// Memory: about 25 bytes a line that was touched, 41 % of the program's footprint at full detail.
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "characterize/access_run.h"
#include "characterize/dense_ids.h"
#include "characterize/distance_histogram.h"
#include "characterize/epc_caches.h"
#include "characterize/memory_map.h"
#include "characterize/reuse_level.h"
#include "characterize/working_set.h"

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

  void Consume(std::span<const AccessRun> runs) {
    for (const AccessRun& run : runs) Consume(run);
  }
  /// The kernel reads or writes [begin, begin + bytes) in the program's stead (a system call's
  /// buffer): each line is one access.
  void ConsumeKernel(uint64_t begin, uint64_t bytes, bool writes);

  /// The program begins: its libraries are loaded, and epcrun would have taken over. Writable file
  /// mappings that come later are filled when they are made, and may be evicted.
  void Begin() { began_ = true; }

  // Memory calls, after they succeeded.
  void Map(Mapping mapping);
  void Unmap(uint64_t begin, uint64_t bytes);
  void Discard(uint64_t begin, uint64_t bytes);
  void Move(uint64_t from, uint64_t from_bytes, uint64_t to, uint64_t to_bytes);
  void SetBreak(uint64_t address);

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
  void Settle() { LeavePage(); }

  // Findings, at any moment after Settle.

  struct Volume {
    uint64_t reads = 0;
    uint64_t writes = 0;
    uint64_t read_bytes = 0;
    uint64_t written_bytes = 0;
  };
  struct MappingUse {
    Volume volume;
    uint64_t pages = 0;         ///< touched for the first time
    DistanceHistogram returns;  ///< page distances of at least 1
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
  LineUse line_use() const;
  const ReuseLevel& pages() const { return pages_; }
  const std::vector<ReuseLevel>& levels() const { return levels_; }
  const WorkingSet& working_set() const { return working_set_; }
  const EpcCaches& epc() const { return epc_; }
  const std::vector<Mark>& marks() const { return marks_; }
  const Settings& settings() const { return settings_; }

 private:
  struct PageState {
    uint64_t touched_at = WorkingSet::kNever;
    MappingIndex mapping = {};
    MemoryKind kind = MemoryKind::kUnknown;
    bool evictable = false;  ///< by epcrun
  };
  void Consume(const AccessRun& run);
  DenseIds::Found IdOf(uint64_t page);
  void EnterPage(uint64_t page);
  void LeavePage();
  void NamePage(uint64_t page, PageState& state);
  void Forget(uint64_t begin, uint64_t end);
  void ForgetPage(uint64_t page);
  static void CountLine(uint32_t bytes, LineUse& use);

  Settings settings_;
  MemoryMap map_;
  DenseIds page_ids_;
  std::vector<PageState> page_states_;  ///< by page id
  std::vector<uint32_t> line_bytes_;    ///< by line id: volume, saturated
  ReuseLevel pages_;
  std::vector<ReuseLevel> levels_;
  WorkingSet working_set_;
  EpcCaches epc_;
  std::vector<MappingUse> uses_;
  std::vector<Mark> marks_;
  LineUse forgotten_;
  bool began_ = false;
  uint64_t now_ = 0;
  uint64_t kernel_accesses_ = 0;
  uint64_t pages_peak_ = 0;

  // The page of the last run.
  uint64_t page_ = UINT64_MAX;
  uint32_t page_id_ = DenseIds::kNone;
  MemoryKind page_kind_ = MemoryKind::kUnknown;
  bool page_pins_ = false;  ///< its first write pins it
  uint64_t page_touches_ = 0;
  Volume page_volume_;
};

}  // namespace coracle::characterize
