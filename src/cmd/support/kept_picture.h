// KeptPicture: what a picture became (the floats that a network takes), sealed in host memory. A
// prediction that is repeated then neither decodes it again nor gives secure memory to it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "runtime/process_seal.h"
#include "runtime/row_store.h"
#include "vision/preprocess.h"

namespace coracle::cmd {

class KeptPicture {
 public:
  /// Writes `elements` floats in pieces of one length, in any order (vision::Preprocess::Fill
  /// does).
  using Writer = std::function<Status(const vision::ElementSink&)>;

  /// Seals piece after piece as `write` hands them out: the whole is never held. Errors: those of
  /// `write`, of runtime::ProcessSeal::Create and of runtime::RowStore::Create.
  static Result<std::unique_ptr<KeptPicture>> Seal(uint64_t elements, const Writer& write);
  ~KeptPicture();

  /// Hands all elements to `sink`, as they were written. Allocates nothing. Errors: kTampered.
  Status Open(const vision::ElementSink& sink);
  /// Host memory that it takes.
  uint64_t outside_bytes() const;

 private:
  struct Outside;
  KeptPicture();
  Status Reserve(uint64_t elements, uint64_t piece_elements);
  Status SealPiece(uint64_t first, std::span<const float> values);

  std::unique_ptr<Outside> outside_;
  std::unique_ptr<runtime::RowStore> store_;    ///< a block for each piece; null: no piece yet
  std::vector<runtime::SealCounter> counters_;  ///< by piece
  std::vector<uint64_t> firsts_;                ///< element that each piece begins with
  std::vector<float> piece_;                    ///< that is on its way
};

}  // namespace coracle::cmd
