// The exact packer: a depth-first search for offsets within a given pool, or for the proof that
// there are none.
//
// It places buffers in the order of their offsets, each as low as those before it allow; every
// packing can be pushed down into one of this kind (the canonical solutions of M. D. Moffitt,
// "MiniMalloc", ASPLOS 2023, https://doi.org/10.1145/3623278.3624752). So an unplaced buffer is at
// least at the offset of the last one placed, and one that was passed over must still be lifted by
// a neighbour. From these lowest offsets follows what each section still needs; a node is left as
// soon as one section needs more than the pool has. Where the unplaced buffers fall into groups
// that never meet in time, each group is searched alone.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "plan/pack.h"
#include "plan/pack_sections.h"

namespace coracle::plan {

enum class Verdict : uint8_t {
  kFits,       ///< offsets() holds a packing
  kNeverFits,  ///< proven
  kUnknown,    ///< the work allowed was used up
};

/// One instance, searched at any number of pool sizes. Borrows nothing.
class OffsetSearch {
 public:
  /// More buffers (each may cost a level of recursion), or more pairs that meet, than this are not
  /// searched: their answer is kUnknown.
  static constexpr size_t kBuffersMax = 3000;
  static constexpr size_t kPairsMax = 4'000'000;

  OffsetSearch(std::span<const Buffer> buffers, std::span<const Overlay> overlays,
               const Sections& sections);

  /// Looks at no more than about `work` buffers. Several orders among buffers of equal offset take
  /// turns, each time with more work: one of them is mostly far quicker than the others.
  Verdict Fit(uint64_t pool_bytes, uint64_t work);

  /// Of the last kFits, by buffer, in bytes.
  std::vector<uint64_t> Offsets() const;

  /// All offsets of canonical packings, and so all pool sizes worth asking for, are multiples of
  /// it.
  uint64_t unit_bytes() const { return unit_bytes_; }
  uint64_t nodes() const { return nodes_; }
  uint64_t work() const { return work_; }  ///< used so far
  bool searchable() const { return searchable_; }

 private:
  using Index = uint32_t;

  /// What decides among buffers of equal offset: more of it goes first.
  enum class Trait : uint8_t { kLoad, kOverlaps, kLength, kArea };
  using Order = std::array<Trait, 3>;
  static const std::array<Order, 5> kOrders;

  /// A buffer, all lengths in units of unit_bytes_.
  struct Item {
    SectionRange sections;
    int32_t size = 0;
    uint32_t length = 0;  // steps
    Index twin = 0;       // the buffer before it that is the same in all respects, or kNoIndex
  };

  /// `item` lies `distance` above the other buffer at least, if it is the higher of the two.
  struct Neighbor {
    Index item = 0;
    int32_t distance = 0;
  };

  /// Two buffers that may share `saving` of each section in `sections`.
  struct Sharing {
    Index partner = 0;
    int32_t saving = 0;
    SectionRange sections;
  };

  struct Candidate {
    int32_t offset = 0;
    Index item = 0;
  };

  /// The last placement: what follows lies above it, or beside it and later in order.
  struct Floor {
    int32_t offset = 0;
    uint32_t rank = 0;
  };

  /// An offset before the placement that lifted it.
  struct Lift {
    Index item = 0;
    int32_t offset = 0;
  };

  void FindUnit(std::span<const Buffer> buffers, std::span<const Overlay> overlays);
  void AddNeighbors(std::span<const Overlay> overlays);
  void AddOverlay(const Overlay& overlay);
  void SetDistance(Index lower, Index upper, int64_t bytes);
  void FindTwins();

  void Rank(std::span<Candidate> group);
  uint64_t TraitOf(Trait trait, Index item) const;
  Verdict Descend(std::span<const Candidate> group, SectionRange sections, Floor floor);
  bool MayFit(const std::vector<Candidate>& unplaced, Floor floor);
  bool LiftPassedOver(Floor floor);
  bool SectionsHold(SectionRange sections);
  Verdict Place(const Candidate& chosen, std::span<const Candidate> group, SectionRange sections);
  Verdict DescendApart(std::span<const Candidate> group, const std::vector<uint32_t>& bounds,
                       int32_t floor_offset);

  std::vector<Item> items_;
  std::vector<std::vector<Neighbor>> neighbors_;
  std::vector<std::vector<Sharing>> sharings_;
  uint64_t unit_bytes_ = 0;
  uint32_t section_count_ = 0;
  bool searchable_ = false;
  bool exact_ = true;  // kNeverFits may be said

  Order order_{};
  int32_t pool_ = 0;
  std::vector<uint32_t> ranks_;  // by item: its place in the order of its group
  std::vector<int32_t> lowest_;  // by item: the lowest offset above all placed neighbours
  std::vector<bool> placed_;
  std::vector<int32_t> offsets_;   // of the packing found
  std::vector<uint32_t> bridges_;  // by section: unplaced buffers that reach into the next one
  std::vector<Lift> lifts_;
  std::vector<int32_t> section_sums_;
  std::vector<uint64_t> item_loads_;  // by item: kLoad of its group
  std::vector<Candidate> bounds_;     // of one node: offsets that no packing below it undercuts
  std::vector<int32_t> bound_of_;     // the same by item
  std::vector<uint64_t> counted_;     // by item: the last check that counted it
  uint64_t checks_ = 0;
  uint64_t nodes_ = 0;
  uint64_t work_ = 0;
  uint64_t work_limit_ = 0;
};

}  // namespace coracle::plan
