// LayerUses: what is accessed within each layer of a network, as the program says where one begins
// (base/trace_note.h).
//
// A layer may be entered many times; it is one as long as its name is. Which pages it has touched
// is a bit a page and layer: a mark at the page of who touched it last would count a page again
// that two layers touch in turn.
// Threads: one at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "characterize/analysis/access_volume.h"
#include "characterize/program/memory_map.h"

namespace coracle::characterize {

class LayerUses {
 public:
  /// Further ones share the last, whose name says so.
  static constexpr size_t kLayersMax = 1024;
  static constexpr std::string_view kFurther = "(further layers)";

  struct Layer {
    std::string name;
    uint64_t entered = 0;
    uint64_t pages = 0;       ///< that were touched within it
    uint64_t cold_pages = 0;  ///< of these, those that had never been touched before
    std::array<Volume, kMemoryKindCount> volumes;  ///< by kind
    LoadCounts loads;
    std::vector<uint64_t> touched;  ///< a bit a page id
  };

  /// What follows belongs to the layer of this name; empty: to none.
  void Begin(std::string_view name);
  bool within() const { return current_ != nullptr; }

  // Of what is accessed within the present layer. Requires: within().

  void Touch(uint32_t page_id, bool cold) {
    const size_t word = page_id / 64;
    const uint64_t bit = uint64_t{1} << (page_id % 64);
    if (word >= current_->touched.size()) current_->touched.resize(word + word / 2 + 16, 0);
    current_->pages += (current_->touched[word] & bit) == 0 ? 1 : 0;
    current_->touched[word] |= bit;
    current_->cold_pages += cold ? 1 : 0;
  }
  void Count(MemoryKind kind, const Volume& volume) {
    current_->volumes[static_cast<size_t>(kind)].Add(volume);
  }
  void CountLoads(uint32_t memories) { current_->loads.Add(memories); }

  /// The page is gone: its id may stand for another one from now on.
  void Forget(uint32_t page_id);
  /// Counts begin anew; the present layer stays, and counts as entered.
  void Restart();

  /// In the order in which they were first entered.
  const std::vector<Layer>& layers() const { return layers_; }

 private:
  std::vector<Layer> layers_;
  std::map<std::string, size_t, std::less<>> index_;
  Layer* current_ = nullptr;
};

}  // namespace coracle::characterize
