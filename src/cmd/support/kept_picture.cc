#include "cmd/support/kept_picture.h"

#include <algorithm>

#include "base/check.h"
#include "crypto/aead.h"
#include "host/posix/entropy.h"
#include "host/posix/memory.h"
#include "host/posix/outside_memory.h"
#include "runtime/block_stage.h"
#include "runtime/ports.h"

namespace coracle::cmd {
namespace {

constexpr uint64_t kPieceElements = 4096;

}  // namespace

struct KeptPicture::Outside {
  host::PosixMemory memory;
  host::PosixEntropy entropy;
  host::PosixOutsideMemory outside_memory;
  std::unique_ptr<runtime::ProcessSeal> seal;
};

KeptPicture::KeptPicture(const graph::Port& port)
    : port_(port), outside_(std::make_unique<Outside>()) {}

KeptPicture::~KeptPicture() = default;

Result<std::unique_ptr<KeptPicture>> KeptPicture::Seal(const graph::Port& port,
                                                       std::span<const float> values) {
  CORACLE_CHECK(values.size() == port.shape.Elements());
  std::unique_ptr<KeptPicture> kept(new KeptPicture(port));
  Outside& outside = *kept->outside_;
  uint64_t pieces = 0;
  TRY(runtime::ForEachRowPiece(port, kPieceElements, [&](uint64_t, uint64_t count) -> Status {
    kept->piece_elements_ = std::max(kept->piece_elements_, count);
    ++pieces;
    return {};
  }));
  TRY_ASSIGN(outside.seal, runtime::ProcessSeal::Create(outside.entropy, outside.memory,
                                                        crypto::PreferredAeadBackend()));
  const runtime::StoredTensor stored{.tensor = port.tensor,
                                     .rows = pieces,
                                     .row_bytes = kept->piece_elements_ * sizeof(float),
                                     .block_rows = 1};
  TRY_ASSIGN(kept->store_,
             runtime::RowStore::Create({&stored, 1}, 1, *outside.seal, outside.outside_memory));
  kept->counters_.resize(pieces, runtime::kNeverSealed);
  kept->piece_.resize(kept->piece_elements_);
  TRY(kept->SealPieces(values));
  return kept;
}

Status KeptPicture::SealPieces(std::span<const float> values) {
  uint64_t piece = 0;
  return runtime::ForEachRowPiece(
      port_, kPieceElements, [&](uint64_t first, uint64_t count) -> Status {
        std::ranges::copy(values.subspan(first, count), piece_.begin());
        const runtime::SealOutcome outcome = store_->SealBlock(
            0, runtime::StoreSlot{0}, piece, std::as_bytes(std::span(piece_)), counters_[piece]);
        ++piece;
        if (outcome != runtime::SealOutcome::kSealed) return runtime::SealRefused();
        return {};
      });
}

Status KeptPicture::Open(const vision::ElementSink& sink) {
  uint64_t piece = 0;
  return runtime::ForEachRowPiece(
      port_, kPieceElements, [&](uint64_t first, uint64_t count) -> Status {
        const crypto::Verdict verdict =
            store_->OpenBlock(0, runtime::StoreSlot{0}, piece,
                              std::as_writable_bytes(std::span(piece_)), counters_[piece]);
        ++piece;
        if (verdict != crypto::Verdict::kAuthentic) return runtime::TamperedRows();
        sink(first, std::span(piece_).first(count));
        return {};
      });
}

}  // namespace coracle::cmd
