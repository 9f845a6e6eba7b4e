// What one node costs to compute: the cost model's half that knows the kernels.
//
// A node is looked at once; the time of any number of rows is then a few multiplications. The
// formulas count what the SIMD kernels do (kernels/simd): register tiles of at most 6 pixels x 64
// channels, cut from all pixels of an action, so that short rows pay for tiles that are not full;
// one table entry for each pixel and tap; one call for each chunk; bytes that do not stay in the
// second-level cache. Each is multiplied by a rate that is measured on the machine. What Winograd's
// convolutions do instead is winograd_work.h's.
#pragma once

#include <array>
#include <cstdint>

#include "graph/graph.h"
#include "plan/plan.h"
#include "plan/winograd_work.h"

namespace coracle::plan {

/// Bytes that stay in a core's second-level cache from one use to the next; of twice as many,
/// nothing does.
inline constexpr uint64_t kCachedBytes = uint64_t{3} << 19;

/// What a register tile of integer sums costs beside its multiply-adds, quantising included, as a
/// share of a tile of floats.
inline constexpr double kDot8TileShare = 2.2;

/// The share of `bytes`, all used again and again, that comes from beyond the second-level cache.
double FarShare(uint64_t bytes);

/// One worker's nanoseconds to open, or to seal, `bytes` bytes in `calls` calls, what is read lying
/// beyond the second-level cache.
double OpenNs(uint64_t bytes, uint64_t calls, const MachineRates& rates);

/// One worker's nanoseconds to decode a chunk of such weights, its text open; 0 if it is not coded.
/// Shares measured on random and on trained weights (docs/adr/0012-coded-chunks.md).
double DecodeNs(const graph::ChunkDescriptor& chunk, graph::WeightType type,
                const MachineRates& rates);

/// One worker's nanoseconds to open all of the node's chunks once, and to decode those that are
/// coded.
double OpenWeightsNs(const graph::Node& node, const MachineRates& rates);

/// Output rows of the node as kernels::PerImage() counts them.
uint32_t OutputRows(const graph::Graph& graph, const graph::Node& node);

/// One node on one worker. A value; any thread.
class NodeCost {
 public:
  /// Requires: a verified, packed kRows graph.
  NodeCost(const graph::Graph& graph, const graph::Node& node, const MachineRates& rates);

  /// Milliseconds to compute `rows` output rows (of each image) in one action, weights open and in
  /// the cache. 0 rows: 0.
  double Compute(uint32_t rows) const;
  /// Milliseconds more where `far_share` (0..1) of the weights lie beyond the second-level cache.
  double FarWeights(uint32_t rows, double far_share) const;
  /// Milliseconds to open all chunks once, their sealed bytes beyond the second-level cache.
  double Open() const { return open_ns_ * 1e-6; }
  /// Milliseconds more the first time in a prediction, when others' bytes have gone through every
  /// cache since.
  double FirstRead() const { return sealed_far_ns_ * 1e-6; }
  /// Milliseconds of Compute(rows) and of opening every chunk into a slot on the way: while one
  /// chunk is multiplied, the next is asked for.
  double Stream(uint32_t rows) const;

  uint64_t weight_bytes() const { return weight_bytes_; }

 private:
  /// Panels of one width.
  struct Panels {
    double count = 0;       ///< of all parts that an output row takes
    double row_ns = 0;      ///< one full row of K x one pixel
    double depth = 0;       ///< rows of K
    double row_ns_min = 0;  ///< one row of K, however few pixels
    double tile_pixels = 1;
  };

  void CountPanels(const graph::Graph& graph, const graph::Node& node, const MachineRates& rates);
  void CountWinograd(const graph::Graph& graph, const graph::Node& node, const MachineRates& rates);
  void CountStaging(const graph::Graph& graph, const graph::Node& node, uint32_t groups,
                    const MachineRates& rates);
  void CountDepthwise(const graph::Graph& graph, const graph::Node& node,
                      const MachineRates& rates);
  void CountMatMul(const graph::Graph& graph, const graph::Node& node, const MachineRates& rates);
  void CountRecurrence(const graph::Graph& graph, const graph::Node& node,
                       const MachineRates& rates);
  void CountAttention(const graph::Graph& graph, const graph::Node& node,
                      const MachineRates& rates);
  void CountPixels(const graph::Graph& graph, const graph::Node& node, const MachineRates& rates);
  void CountBytes(const graph::Graph& graph, const graph::Node& node, const MachineRates& rates);
  double TilesNs(uint32_t rows) const;

  double call_ns_ = 0;        ///< per action
  double row_ns_ = 0;         ///< per output row
  double single_row_ns_ = 0;  ///< the same where an action has one row
  // Register tiles.
  std::array<Panels, 2> panels_;
  double tile_ns_ = 0;
  double row_pixels_ = 0;  ///< output pixels of a part, per row of positions
  uint32_t row_step_ = 1;  ///< output rows per row of positions (ConvTranspose)
  WinogradWork winograd_;
  double flop_ns_ = 0;
  // Memory.
  double row_bytes_ = 0;     ///< read and written per output row
  double repeat_bytes_ = 0;  ///< of the first input per output row, where chunks each read it
  double repeats_ = 0;       ///< how often again
  double far_byte_ns_ = 0;
  uint64_t weight_bytes_ = 0;
  double weight_far_ns_ = 0;  ///< all weights once from beyond the cache
  double sealed_far_ns_ = 0;  ///< the same, as they are sealed
  double open_ns_ = 0;
};

}  // namespace coracle::plan
