// What a network's layers come to together.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace coracle::bench {

struct LayerScore {
  std::string network;
  std::string name;
  uint32_t count = 1;
  uint32_t inputs = 0;
  uint64_t multiply_adds = 0;  ///< of one layer
  double seconds = 0;          ///< of one layer
  double share = 0;            ///< of the peak
  double ratio = 0;            ///< to oneDNN's time; 0: not measured
};

struct NetworkScore {
  uint32_t layers = 0;     ///< distinct ones measured
  double seconds = 0;      ///< of all convolutions
  double share = 0;        ///< all multiply-adds over the time that they take: the harmonic mean
  double share_mean = 0;   ///< arithmetic mean weighted by multiply-adds
  double share_min = 0;    ///< of layers with more than 3 input channels
  double ratio_mean = 0;   ///< geometric mean over distinct layers
  double ratio_total = 0;  ///< our time over theirs, all layers together
  double ratio_max = 0;
};

/// The score of one network, or of all ("": the layers whose network is not "other").
NetworkScore ScoreOf(const std::vector<LayerScore>& layers, std::string_view network);

}  // namespace coracle::bench
