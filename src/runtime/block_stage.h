// BlockStage: one block of a port's rows in plain text, between the user's elements and the sealed
// rows outside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "runtime/outside_rows.h"
#include "runtime/row_store.h"

namespace coracle::runtime {

/// What the user of a session is told. kTampered; kUnavailable: this process may no longer seal.
Error TamperedRows();
Error SealRefused();

/// Threads: one at a time. Seals and opens as worker 0. Allocates nothing but error messages.
class BlockStage {
 public:
  /// `room` (in the pool) holds the largest block that will be staged. `store` may be null if none
  /// is.
  BlockStage(RowStore* store, std::span<std::byte> room) : store_(store), room_(room) {}

  /// Nothing is staged; changes that have not been flushed are lost.
  void Forget() { staged_ = nullptr; }

  /// Stages a block to be read. Errors: kTampered.
  Result<std::span<const float>> Load(const OutsideRows& rows, uint32_t block);
  /// Stages a block to be changed: as it was sealed before, or zeros if it never was. Errors:
  /// kTampered; as Flush (of the block that was staged).
  Result<std::span<float>> Change(const OutsideRows& rows, uint32_t block);
  /// Seals what has been changed; nothing is staged then. Errors: kUnavailable.
  Status Flush();

 private:
  bool Has(const OutsideRows& rows, uint32_t block) const {
    return staged_ == &rows && block_ == block;
  }
  Status Open(const OutsideRows& rows, uint32_t block);
  std::span<float> Floats() const;

  RowStore* store_;
  std::span<std::byte> room_;
  const OutsideRows* staged_ = nullptr;  ///< null: none
  uint32_t block_ = 0;
  bool changed_ = false;
};

}  // namespace coracle::runtime
