// The Darknet importer: a .cfg and its .weights become a logical graph of Coracle's operators.
//
// Semantics: Darknet as Debian has it (2018, pjreddie), the engine that parity is measured against.
// Options that only later forks know are refused where they would change the result. Input is not
// trusted: every count, size and index is checked; a bad file gives one line with its line number.
//
// Ports: input `input`, 1 x channels x height x width of [net]. Outputs, by layer index: every
// detection head (`yolo_82`, `region_30`), then the last layer under its type (`softmax_24`) unless
// it is such a head, then `layer_<index>` for each of DarknetOptions::extra_output_layers. Layers
// without a plane (connected, softmax) give 1 x values x 1 x 1.
//
// ImportedModel::decode_json, where there are detection heads:
//   {"kind": "yolo" | "region" | "detection", "net_width": 416, "net_height": 416, "heads": [...]}
// with a head {"output": "yolo_82", "classes": 80, "anchors": [[w, h], ...]}: the anchors that the
// head's mask selects, one a box, in pixels of the network's input (yolo) or in cells (region). For
// "detection" (YOLOv1): {"output", "classes", "side", "boxes", "sqrt"}.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "import/imported_model.h"

namespace coracle::import {

/// What to do with bytes behind the last layer's weights, as they are there when the cfg is a
/// network's first part only. Darknet ignores them.
enum class TrailingWeights : uint8_t { kRefuse, kIgnore };

struct DarknetOptions {
  /// Layers that become outputs as well, named `layer_<index>`.
  std::vector<uint32_t> extra_output_layers;
  TrailingWeights trailing_weights = TrailingWeights::kRefuse;
};

/// Errors: kNotFound, kPermissionDenied, kUnavailable (the files); kMalformed; kUnsupported (layer
/// types, options and sizes that Coracle has not). Messages start with the path and, in the cfg,
/// the line.
Result<ImportedModel> ImportDarknet(const std::string& cfg_path, const std::string& weights_path,
                                    const DarknetOptions& options = {});

/// The same from memory. `owner` keeps `weights` alive as long as the graph's constants.
Result<ImportedModel> ImportDarknetBytes(std::string_view cfg, Bytes weights,
                                         std::shared_ptr<const void> owner,
                                         const DarknetOptions& options = {});

/// Bytes of the weights that `cfg` needs, without the file's header (20 bytes in current files, 16
/// in old ones). Errors: as ImportDarknetBytes.
Result<uint64_t> DarknetWeightsBytes(std::string_view cfg);

}  // namespace coracle::import
