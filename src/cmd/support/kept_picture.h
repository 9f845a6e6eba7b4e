// KeptPicture: what a picture became (the floats that a network takes), sealed in host memory. A
// prediction that is repeated then neither decodes it again nor gives secure memory to it.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "runtime/process_seal.h"
#include "runtime/row_store.h"
#include "vision/preprocess.h"

namespace coracle::cmd {

class KeptPicture {
 public:
  /// Requires: `values` are all elements of `port`, of one input. Errors: as
  /// runtime::ProcessSeal::Create and runtime::RowStore::Create.
  static Result<std::unique_ptr<KeptPicture>> Seal(const graph::Port& port,
                                                   std::span<const float> values);
  ~KeptPicture();

  /// Hands all elements to `sink`, row after row as sessions like them. Allocates nothing.
  /// Errors: kTampered.
  Status Open(const vision::ElementSink& sink);

 private:
  struct Outside;
  explicit KeptPicture(const graph::Port& port);
  Status SealPieces(std::span<const float> values);

  const graph::Port port_;
  uint64_t piece_elements_ = 0;  ///< of the longest; a block of the store is as long
  std::unique_ptr<Outside> outside_;
  std::unique_ptr<runtime::RowStore> store_;
  std::vector<runtime::SealCounter> counters_;  ///< by piece
  std::vector<float> piece_;                    ///< that is on its way
};

}  // namespace coracle::cmd
