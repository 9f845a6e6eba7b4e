// DarknetNetwork: what the layers of one cfg are built with, and what they have become.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "import/darknet/cfg.h"
#include "import/darknet/darknet_import.h"
#include "import/darknet/weights_reader.h"
#include "import/graph_builder.h"

namespace coracle::import {

/// A detection head, as decode_json tells it.
struct DarknetHead {
  std::string kind;  ///< "yolo", "region", "detection"
  std::string json;  ///< {"output": ..., ...}
};

/// A layer's section with what it is built from. `input` is always 1 x C x H x W.
struct DarknetLayer {
  const CfgSection& section;
  uint32_t index = 0;
  std::string name;  ///< "convolutional_12"
  graph::TensorIndex input{};
};

struct DarknetNetwork {
  explicit DarknetNetwork(WeightsReader reader) : weights(std::move(reader)) {}

  GraphBuilder builder;
  WeightsReader weights;
  /// Output of each layer so far, 1 x C x H x W.
  std::vector<graph::TensorIndex> outputs;
  std::vector<DarknetHead> heads;
  uint32_t width = 0;
  uint32_t height = 0;
  uint32_t time_steps = 1;
};

using LayerResult = Result<graph::TensorIndex>;

// layers_weighted.cc
LayerResult AddConvolutional(DarknetNetwork& network, const DarknetLayer& layer);
LayerResult AddConnected(DarknetNetwork& network, const DarknetLayer& layer);
LayerResult AddBatchNorm(DarknetNetwork& network, const DarknetLayer& layer);

/// A connected layer's weights without its function. `source` is null where the reader only counts.
struct ConnectedPart {
  std::shared_ptr<graph::WeightSource> source;
  /// Its outputs for an input of zeros; empty: zeros.
  std::vector<float> AtZero() const {
    return source == nullptr ? std::vector<float>() : source->bias;
  }
};
Result<ConnectedPart> ReadConnectedPart(WeightsReader& weights, const std::string& name,
                                        uint32_t inputs, uint32_t outputs, bool normalized);

// layers_recurrent.cc
LayerResult AddRnn(DarknetNetwork& network, const DarknetLayer& layer);
LayerResult AddGru(DarknetNetwork& network, const DarknetLayer& layer);
LayerResult AddLstm(DarknetNetwork& network, const DarknetLayer& layer);

// layers_plain.cc
LayerResult AddMaxPool(DarknetNetwork& network, const DarknetLayer& layer);
LayerResult AddAvgPool(DarknetNetwork& network, const DarknetLayer& layer);
LayerResult AddUpsample(DarknetNetwork& network, const DarknetLayer& layer);
LayerResult AddReorg(DarknetNetwork& network, const DarknetLayer& layer);
LayerResult AddCrop(DarknetNetwork& network, const DarknetLayer& layer);
LayerResult AddActivation(DarknetNetwork& network, const DarknetLayer& layer);
LayerResult AddLogistic(DarknetNetwork& network, const DarknetLayer& layer);
LayerResult AddSoftmax(DarknetNetwork& network, const DarknetLayer& layer);
LayerResult AddNothing(DarknetNetwork& network, const DarknetLayer& layer);  ///< dropout, cost

// layers_joining.cc
LayerResult AddRoute(DarknetNetwork& network, const DarknetLayer& layer);
LayerResult AddShortcut(DarknetNetwork& network, const DarknetLayer& layer);

// layers_detecting.cc
LayerResult AddYolo(DarknetNetwork& network, const DarknetLayer& layer);
LayerResult AddRegion(DarknetNetwork& network, const DarknetLayer& layer);
LayerResult AddDetection(DarknetNetwork& network, const DarknetLayer& layer);

/// gain * activation(x): what one of Darknet's activation names means.
struct DarknetActivation {
  graph::Activation activation;
  float gain = 1;
};
/// Errors: kUnsupported for names that have no counterpart. (Darknet takes relu for unknown ones.)
Result<DarknetActivation> ReadActivation(const CfgSection& section, std::string_view otherwise);
/// x gain, or x itself if there is none.
LayerResult ApplyGain(DarknetNetwork& network, const DarknetLayer& layer, graph::TensorIndex x,
                      float gain);

/// The layer that `listed` names: absolute, or negative and relative to `layer`.
Result<uint32_t> ResolveLayer(const DarknetLayer& layer, int64_t listed);

}  // namespace coracle::import
