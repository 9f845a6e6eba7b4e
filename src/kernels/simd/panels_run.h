// Runs: the panels of a chunk that have part, width and K in common and follow one another.
#pragma once

#include <cstdint>

#include "kernels/kernel.h"
#include "kernels/simd/panels_tiles.h"

namespace coracle::kernels {

/// Panels whose columns are channels [channel_begin, channel_begin + channel_count).
struct PanelRun {
  PanelGeometry first;
  uint32_t panels = 0;
  uint32_t width = 0;
  uint32_t channel_begin = 0, channel_count = 0;
  uint32_t k_begin = 0, k_end = 0;  ///< of the chunk
  uint32_t k_count = 0;             ///< of a whole panel
  const float* data = nullptr;      ///< the first panel's text in the chunk

  uint64_t PanelFloats() const {
    return (uint64_t{k_end} - k_begin + (k_begin == 0 ? 1 : 0)) * width;
  }
  /// Requires: k_begin == 0.
  const float* Bias(uint32_t panel) const { return data + panel * PanelFloats(); }
  /// Row k of K. Requires: in the chunk.
  const float* Weights(uint32_t panel, uint32_t k) const {
    return data + panel * PanelFloats() + (uint64_t{k} - k_begin + (k_begin == 0 ? 1 : 0)) * width;
  }
};

/// Walks the runs of a chunk: `for (PanelRuns runs(args); runs.Next();) runs.run()`.
class PanelRuns {
 public:
  explicit PanelRuns(const PanelArgs& args);
  bool Next();
  const PanelRun& run() const { return run_; }

 private:
  const PanelArgs& args_;
  uint32_t next_panel_, end_panel_;
  const float* next_data_;
  PanelRun run_;
};

/// Output rows that all runs of the chunk take before any takes the next: their operands stay in
/// the second-level cache. All rows if there is one run.
uint32_t RowsTogether(const PanelArgs& args);

/// Tiles of up to `tile_pixels` for a run, from K row `k_begin` on. Where several panels share a
/// block of tiles, its windows are kept at about half of a first-level cache.
TileRequest RequestFor(const PanelArgs& args, const PanelRun& run, RowRange rows, uint32_t k_begin,
                       uint32_t tile_pixels);

}  // namespace coracle::kernels
