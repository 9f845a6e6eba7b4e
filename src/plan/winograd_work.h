// What Winograd's kernel does for one node, as the cost model counts it.
//
// Each chunk (a panel of output channels x some input channels) transforms its weights once an
// action; then, for every tile of 2x2 or 4x4 outputs, its inputs; multiplies both, point by point
// of the transformed tile; and transforms the products back into sums. Figures in flops' time: how
// many flops of full register tiles take as long.
#pragma once

#include <cstdint>

#include "graph/graph.h"

namespace coracle::plan {

struct WinogradWork {
  uint32_t granule = 0;        ///< rows and columns of a tile; 0: not such a node
  double row_tiles = 0;        ///< tiles of one row of tiles (of each image)
  double action_flops = 0;     ///< an action
  double transform_flops = 0;  ///< a tile, beside its products
  double product_flops = 0;    ///< a tile's products
  double panels = 0;           ///< panels, each of which reads the input
  double runs = 0;             ///< runs of K that a panel is cut into, on average

  /// Flops of an action over `rows` output rows that begin a tile.
  double Flops(uint32_t rows) const;
};

/// Requires: a packed kRows graph.
WinogradWork WinogradWorkOf(const graph::Graph& graph, const graph::Node& node);

}  // namespace coracle::plan
