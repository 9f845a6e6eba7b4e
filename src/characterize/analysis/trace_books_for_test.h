// What a traced program accesses, kept in books as plainly as can be: sets, lists and sums, access
// by access. What they share with TraceAnalysis is EpcCaches alone, which has a test of its own.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "characterize/analysis/access_volume.h"
#include "characterize/analysis/region_map.h"
#include "characterize/program/memory_map.h"
#include "characterize/reuse/distance_histogram.h"
#include "characterize/reuse/epc_caches.h"
#include "characterize/reuse/reuse_stack.h"
#include "characterize/reuse/working_set.h"

namespace coracle::characterize {

// The program has one mapping, of anonymous memory.
inline constexpr uint64_t kFirstPage = 0x7f0000000;
inline constexpr uint64_t kBase = kFirstPage << kPageShift;
inline constexpr uint64_t kPages = 200;
inline constexpr std::array<uint64_t, 2> kEpcPages = {40, 120};

struct Book {
  Volume volume;
  uint64_t pages = 0;
  std::array<uint64_t, kEpcPages.size()> loads = {};
};

struct BlockBook : Book {
  uint64_t begin = 0;
  uint64_t bytes = 0;
  uint32_t path = 0;
  uint64_t ordinal = 0;
  bool live = true;
  uint64_t allocated_at = 0;
  std::optional<uint64_t> freed_at = {};
  std::optional<uint64_t> first = {};
  std::optional<uint64_t> last = {};
  DistanceHistogram returns = {};
  std::map<uint16_t, Volume> accessors = {};
};

struct PathBook : Book {
  uint64_t ordinal = 0;
  uint64_t allocations = 0;
  uint64_t bytes = 0;
  uint64_t live = 0;
  uint64_t live_max = 0;
};

struct LayerBook : Book {
  uint64_t entered = 0;
  uint64_t cold = 0;
  std::map<MemoryKind, Volume> kinds = {};
  std::set<uint64_t> touched = {};
};

class Books {
 public:
  Books() : caches_({kEpcPages.begin(), kEpcPages.end()}, 16) {}

  void Allocate(uint64_t begin, uint64_t bytes, uint32_t path) {
    for (auto& [index, block] : blocks) {
      if (block.live && block.begin < begin + bytes && begin < block.begin + block.bytes) {
        End(block);
      }
    }
    PathBook& use = paths[path];
    BlockBook block;
    block.begin = begin;
    block.bytes = bytes;
    block.path = path;
    block.ordinal = ++use.ordinal;
    block.allocated_at = now;
    blocks[next_block_++] = block;
    ++use.allocations;
    use.bytes += bytes;
    use.live += bytes;
    use.live_max = std::max(use.live_max, use.live);
    entered_.reset();
  }
  void Free(uint64_t begin) {
    for (auto& [index, block] : blocks) {
      if (block.live && block.begin == begin) End(block);
    }
    entered_.reset();
  }
  void SetRegions(std::vector<Region> regions) {
    regions_ = std::move(regions);
    std::sort(regions_.begin(), regions_.end(),
              [](const Region& a, const Region& b) { return a.begin < b.begin; });
    entered_.reset();
  }
  void BeginLayer(const std::string& name) {
    layer_ = name;
    if (!name.empty()) ++layers[name].entered;
    entered_.reset();
  }
  void Discard(uint64_t page) {
    stack_.erase(std::remove(stack_.begin(), stack_.end(), page), stack_.end());
    caches_.Remove(static_cast<uint32_t>(page));
    page_block_.erase(page);
    touched_.erase(page);
    std::erase_if(in_window_, [page](const auto& one) { return one.second == page; });
    for (auto& [name, layer] : layers) layer.touched.erase(page);
    for (auto& [kind, pages] : kind_touched_) pages.erase(page);
    entered_.reset();
  }
  void Restart() {
    now = 0;
    std::erase_if(blocks, [](const auto& block) { return !block.second.live; });
    for (auto& [index, block] : blocks) {
      BlockBook fresh;
      fresh.begin = block.begin;
      fresh.bytes = block.bytes;
      fresh.path = block.path;
      fresh.ordinal = block.ordinal;
      block = fresh;
    }
    for (auto& [path, use] : paths) {
      PathBook fresh;
      fresh.ordinal = use.ordinal;
      fresh.live = fresh.live_max = use.live;
      use = fresh;
    }
    page_block_.clear();
    touched_.clear();
    kind_touched_.clear();
    kinds.clear();
    functions.clear();
    layers.clear();
    windows.clear();
    in_window_.clear();
    loads_by_window.clear();
    page_distances = {};
    mapping_returns = {};
    mapping_pages = 0;
    for (size_t i = 0; i < kEpcPages.size(); ++i) {
      loads_before_[i] = caches_.counts(i).loads;
      evictions_before_[i] = caches_.counts(i).evictions;
    }
    first_touches_before_ = caches_.first_touches();
    BeginLayer(layer_);
  }

  void Access(const AccessRun& run) {
    const uint64_t touches = uint64_t{run.reads} + run.writes;
    const uint64_t page = run.line / kLinesPerPage - kFirstPage;
    const MemoryKind kind = KindOf(run.line);
    BlockBook* const block = OwnerOf(page);
    const auto function = static_cast<uint16_t>(run.function);
    std::vector<Book*> books = {&functions[function], &kinds[kind]};
    if (block != nullptr) books.insert(books.end(), {block, &paths[block->path]});
    if (!layer_.empty()) books.push_back(&layers[layer_]);
    // One that enters the page has its distance, all others are of distance 0.
    const bool enters = entered_ != page;
    if (enters) Enter(page, kind, block, books);
    entered_ = page;
    page_distances.Add(0, static_cast<double>(touches - (enters ? 1 : 0)));
    for (Book* book : books) book->volume.Add(run);
    if (block != nullptr) {
      if (!block->first) block->first = now;
      block->last = now + touches - 1;
      block->accessors[function].Add(run);
    }
    if (!layer_.empty()) layers[layer_].kinds[kind].Add(run);
    now += touches;
  }

  uint64_t loads(size_t size) const { return caches_.counts(size).loads - loads_before_[size]; }
  uint64_t evictions(size_t size) const {
    return caches_.counts(size).evictions - evictions_before_[size];
  }
  uint64_t first_touches() const { return caches_.first_touches() - first_touches_before_; }

  uint64_t now = 0;
  std::map<uint64_t, BlockBook> blocks;  ///< by index
  std::map<uint32_t, PathBook> paths;
  std::map<MemoryKind, Book> kinds;
  std::map<uint16_t, Book> functions;
  std::map<std::string, LayerBook> layers;
  std::map<uint64_t, uint64_t> windows;  ///< pages by window
  std::map<uint64_t, std::array<uint64_t, kEpcPages.size()>> loads_by_window;
  DistanceHistogram page_distances;
  DistanceHistogram mapping_returns;
  uint64_t mapping_pages = 0;

 private:
  void End(BlockBook& block) {
    block.live = false;
    block.freed_at = now;
    paths[block.path].live -= block.bytes;
  }
  MemoryKind KindOf(uint64_t line) const {
    for (const Region& region : regions_) {
      if (region.begin < (line + 1) * kLineBytes &&
          line * kLineBytes < region.begin + region.bytes) {
        return region.kind;
      }
    }
    return MemoryKind::kAnonymous;
  }
  BlockBook* OwnerOf(uint64_t page) {
    const uint64_t begin = kBase + page * kPageBytes;
    std::map<uint64_t, BlockBook*> by_begin;
    for (auto& [index, block] : blocks) {
      if (block.live) by_begin[block.begin] = &block;
    }
    BlockBook* owner = nullptr;
    uint64_t most = 0;
    for (const auto& [at, block] : by_begin) {
      uint64_t covered = 0;
      for (uint64_t byte = begin; byte < begin + kPageBytes; byte += 8) {
        covered += byte >= at && byte < at + block->bytes ? 1 : 0;
      }
      if (covered > most) {
        most = covered;
        owner = block;
      }
    }
    return owner;
  }
  void Enter(uint64_t page, MemoryKind kind, BlockBook* block, const std::vector<Book*>& books) {
    const auto at = std::find(stack_.begin(), stack_.end(), page);
    const bool cold = at == stack_.end();
    const uint64_t distance = cold ? kCold : static_cast<uint64_t>(at - stack_.begin());
    if (!cold) stack_.erase(at);
    stack_.insert(stack_.begin(), page);
    page_distances.Add(distance);
    if (!cold && distance != 0) {
      mapping_returns.Add(distance);
      if (block != nullptr) block->returns.Add(distance);
    }
    mapping_pages += touched_.insert(page).second ? 1 : 0;
    kinds[kind].pages += kind_touched_[kind].insert(page).second ? 1 : 0;
    const uint64_t window = now >> WorkingSet::kShifts[0];
    windows[window] += in_window_.emplace(window, page).second ? 1 : 0;
    if (block != nullptr && page_block_[page] != block) {
      page_block_[page] = block;
      ++block->pages;
      ++paths[block->path].pages;
    }
    if (!layer_.empty()) {
      LayerBook& layer = layers[layer_];
      layer.pages += layer.touched.insert(page).second ? 1 : 0;
      layer.cold += cold ? 1 : 0;
    }
    std::array<uint64_t, kEpcPages.size()> before;
    for (size_t i = 0; i < before.size(); ++i) before[i] = caches_.counts(i).loads;
    caches_.Touch(static_cast<uint32_t>(page), kFirstPage + page,
                  cold ? EpcCaches::Arrival::kFirst : EpcCaches::Arrival::kAgain);
    for (size_t i = 0; i < before.size(); ++i) {
      const uint64_t loads = caches_.counts(i).loads - before[i];
      for (Book* book : books) book->loads[i] += loads;
      loads_by_window[window][i] += loads;
    }
  }

  EpcCaches caches_;
  std::vector<Region> regions_;
  std::string layer_;
  uint64_t next_block_ = 0;
  std::optional<uint64_t> entered_;
  std::vector<uint64_t> stack_;  ///< pages, the last one first
  std::map<uint64_t, BlockBook*> page_block_;
  std::set<uint64_t> touched_;
  std::set<std::pair<uint64_t, uint64_t>> in_window_;  ///< windows and pages
  std::map<MemoryKind, std::set<uint64_t>> kind_touched_;
  std::array<uint64_t, kEpcPages.size()> loads_before_ = {};
  std::array<uint64_t, kEpcPages.size()> evictions_before_ = {};
  uint64_t first_touches_before_ = 0;
};

}  // namespace coracle::characterize
