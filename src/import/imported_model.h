// ImportedModel: what an importer makes of a model's files. Owner side only; nothing of src/import/
// is ever linked into the enclave.
#pragma once

#include <string>

#include "graph/graph.h"

namespace coracle::import {

struct ImportedModel {
  /// Stage::kLogical, verified. Its constants view the model's files, which they keep mapped.
  graph::Graph graph;
  /// Detection geometry of Darknet heads (darknet/darknet_import.h says its fields); else empty.
  std::string decode_json;
};

}  // namespace coracle::import
