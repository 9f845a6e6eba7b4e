#include "cmd/support/kept_picture.h"

#include "base/check.h"
#include "crypto/aead.h"
#include "host/posix/entropy.h"
#include "host/posix/memory.h"
#include "host/posix/outside_memory.h"
#include "runtime/block_stage.h"

namespace coracle::cmd {

struct KeptPicture::Outside {
  host::PosixMemory memory;
  host::PosixEntropy entropy;
  host::PosixOutsideMemory outside_memory;
  std::unique_ptr<runtime::ProcessSeal> seal;
};

KeptPicture::KeptPicture() : outside_(std::make_unique<Outside>()) {}

KeptPicture::~KeptPicture() = default;

Result<std::unique_ptr<KeptPicture>> KeptPicture::Seal(uint64_t elements, const Writer& write) {
  std::unique_ptr<KeptPicture> kept(new KeptPicture);
  Status sealed;
  TRY(write([&](uint64_t first, std::span<const float> values) {
    if (sealed.ok() && kept->store_ == nullptr) sealed = kept->Reserve(elements, values.size());
    if (sealed.ok()) sealed = kept->SealPiece(first, values);
  }));
  TRY(sealed);
  CORACLE_CHECK(kept->firsts_.size() == kept->counters_.size());
  return kept;
}

Status KeptPicture::Reserve(uint64_t elements, uint64_t piece_elements) {
  CORACLE_CHECK(piece_elements > 0 && elements % piece_elements == 0);
  const uint64_t pieces = elements / piece_elements;
  TRY_ASSIGN(outside_->seal, runtime::ProcessSeal::Create(outside_->entropy, outside_->memory,
                                                          crypto::PreferredAeadBackend()));
  const runtime::StoredTensor stored{
      .rows = pieces, .row_bytes = piece_elements * sizeof(float), .block_rows = 1};
  TRY_ASSIGN(store_,
             runtime::RowStore::Create({&stored, 1}, 1, *outside_->seal, outside_->outside_memory));
  counters_.resize(pieces, runtime::kNeverSealed);
  firsts_.reserve(pieces);
  piece_.resize(piece_elements);
  return {};
}

Status KeptPicture::SealPiece(uint64_t first, std::span<const float> values) {
  const uint64_t piece = firsts_.size();
  CORACLE_CHECK(piece < counters_.size() && values.size() == piece_.size());
  firsts_.push_back(first);
  const runtime::SealOutcome outcome =
      store_->SealBlock(0, runtime::StoreSlot{0}, piece, std::as_bytes(values), counters_[piece]);
  if (outcome != runtime::SealOutcome::kSealed) return runtime::SealRefused();
  return {};
}

Status KeptPicture::Open(const vision::ElementSink& sink) {
  for (uint64_t piece = 0; piece < firsts_.size(); ++piece) {
    const crypto::Verdict verdict =
        store_->OpenBlock(0, runtime::StoreSlot{0}, piece,
                          std::as_writable_bytes(std::span(piece_)), counters_[piece]);
    if (verdict != crypto::Verdict::kAuthentic) return runtime::TamperedRows();
    sink(firsts_[piece], piece_);
  }
  return {};
}

uint64_t KeptPicture::outside_bytes() const {
  return store_ == nullptr ? 0 : store_->outside_bytes();
}

}  // namespace coracle::cmd
