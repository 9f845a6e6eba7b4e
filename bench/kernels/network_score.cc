#include "network_score.h"

#include <algorithm>
#include <cmath>

namespace coracle::bench {

NetworkScore ScoreOf(const std::vector<LayerScore>& layers, std::string_view network) {
  NetworkScore score;
  double work = 0;       // multiply-adds
  double work_time = 0;  // multiply-adds over share: time in units of the peak
  double theirs = 0;     // seconds
  double compared = 0;   // our seconds where there are theirs
  double logarithms = 0;
  uint32_t ratios = 0;
  for (const LayerScore& layer : layers) {
    if (network.empty() ? layer.network == "other" : layer.network != network) continue;
    const double adds = static_cast<double>(layer.multiply_adds) * layer.count;
    const double seconds = layer.seconds * layer.count;
    ++score.layers;
    score.seconds += seconds;
    work += adds;
    work_time += adds / layer.share;
    score.share_mean += adds * layer.share;
    if (layer.inputs > 3) {
      score.share_min = score.share_min == 0 ? layer.share : std::min(score.share_min, layer.share);
    }
    if (layer.ratio == 0) continue;
    ++ratios;
    logarithms += std::log(layer.ratio);
    score.ratio_max = std::max(score.ratio_max, layer.ratio);
    compared += seconds;
    theirs += seconds / layer.ratio;
  }
  if (score.layers == 0) return score;
  score.share = work / work_time;
  score.share_mean /= work;
  if (ratios > 0) {
    score.ratio_mean = std::exp(logarithms / ratios);
    score.ratio_total = compared / theirs;
  }
  return score;
}

}  // namespace coracle::bench
