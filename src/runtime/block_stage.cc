#include "runtime/block_stage.h"

#include <algorithm>

namespace coracle::runtime {

Error TamperedRows() {
  return {Code::kTampered,
          "rows that wait in host memory do not verify: the host changed them, or an input was not "
          "written whole"};
}

Error SealRefused() {
  return {Code::kUnavailable,
          "this process can seal no more rows: it is the child of a fork; start a new one"};
}

std::span<float> BlockStage::Floats() const {
  return {reinterpret_cast<float*>(room_.data()), staged_->BlockBytes(block_) / sizeof(float)};
}

Status BlockStage::Open(const OutsideRows& rows, uint32_t block) {
  const auto plain = room_.first(rows.BlockBytes(block));
  const SealCounter counter = rows.counters[block];
  if (store_->OpenBlock(0, rows.slot, block, plain, counter) != crypto::Verdict::kAuthentic) {
    return TamperedRows();
  }
  return {};
}

Result<std::span<const float>> BlockStage::Load(const OutsideRows& rows, uint32_t block) {
  if (!Has(rows, block)) {
    staged_ = nullptr;
    TRY(Open(rows, block));
    staged_ = &rows;
    block_ = block;
    changed_ = false;
  }
  return std::span<const float>(Floats());
}

Result<std::span<float>> BlockStage::Change(const OutsideRows& rows, uint32_t block) {
  if (!Has(rows, block)) {
    TRY(Flush());
    if (rows.counters[block] == kNeverSealed) {
      std::ranges::fill(room_.first(rows.BlockBytes(block)), std::byte{0});
    } else {
      TRY(Open(rows, block));
    }
    staged_ = &rows;
    block_ = block;
  }
  changed_ = true;
  return Floats();
}

Status BlockStage::Flush() {
  if (staged_ == nullptr) return {};
  const OutsideRows& rows = *staged_;
  staged_ = nullptr;
  if (!changed_) return {};
  changed_ = false;
  const auto plain = room_.first(rows.BlockBytes(block_));
  if (store_->SealBlock(0, rows.slot, block_, plain, rows.counters[block_]) ==
      SealOutcome::kRefused) {
    return SealRefused();
  }
  return {};
}

}  // namespace coracle::runtime
