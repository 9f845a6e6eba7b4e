#include "runtime/row_store.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "base/check.h"
#include "base/checked.h"
#include "base/units.h"

namespace coracle::runtime {
namespace {

/// Blocks start at cache lines.
constexpr uint64_t kBlockAlignment = 64;

constexpr uint64_t kRowBlockDomain = 0x31776f7200636f63;  // which kind of thing is sealed

/// Little-endian: domain, lease, tensor, input of the convoy, first row, rows, bytes of a row.
using Associated = std::array<std::byte, 56>;

uint64_t FirstRowOf(const StoredTensor& tensor, uint64_t block) {
  return block % tensor.blocks_per_input() * tensor.block_rows;
}

uint64_t RowsOf(const StoredTensor& tensor, uint64_t block) {
  return std::min(tensor.block_rows, tensor.rows - FirstRowOf(tensor, block));
}

Associated AssociatedOf(Lease lease, const StoredTensor& tensor, uint64_t block) {
  const std::array<uint64_t, 7> fields = {
      kRowBlockDomain,           static_cast<uint64_t>(lease),
      Position(tensor.tensor),   block / tensor.blocks_per_input(),
      FirstRowOf(tensor, block), RowsOf(tensor, block),
      tensor.row_bytes};
  Associated associated{};
  for (size_t i = 0; i < associated.size(); ++i) {
    associated[i] = static_cast<std::byte>(fields[i / 8] >> (8 * (i % 8)));
  }
  return associated;
}

/// From block to block, or nothing if it is beyond the limit.
std::optional<uint64_t> StrideOf(const StoredTensor& tensor) {
  const auto bytes = CheckedMul(std::min(tensor.block_rows, tensor.rows), tensor.row_bytes);
  if (!bytes.has_value() || *bytes > kMaxRowBlockBytes) return std::nullopt;
  return RoundUp(*bytes + crypto::kTagBytes, kBlockAlignment);
}

Error TooLarge(const StoredTensor& tensor) {
  return {Code::kUnsupported, "tensor " + std::to_string(Position(tensor.tensor)) +
                                  " cannot be kept outside: its blocks of rows are beyond " +
                                  FormatBytes(kMaxRowBlockBytes)};
}

}  // namespace

uint64_t StoredTensor::blocks_per_input() const { return (rows - 1) / block_rows + 1; }

Result<std::unique_ptr<RowStore>> RowStore::Create(std::span<const StoredTensor> tensors,
                                                   uint32_t workers, ProcessSeal& seal,
                                                   host::OutsideMemory& outside) {
  std::vector<Place> places;
  uint64_t bytes = 0;
  for (const StoredTensor& tensor : tensors) {
    CORACLE_CHECK(tensor.rows > 0 && tensor.row_bytes > 0 && tensor.block_rows > 0);
    CORACLE_CHECK(tensor.batch > 0);
    const auto stride = StrideOf(tensor);
    if (!stride.has_value()) return TooLarge(tensor);
    places.push_back({tensor, bytes, *stride});
    const auto all = CheckedMul(*stride, tensor.block_count());
    const auto end = all.has_value() ? CheckedAdd(bytes, *all) : std::nullopt;
    if (!end.has_value()) return TooLarge(tensor);
    bytes = *end;
  }
  TRY_ASSIGN(const Lease lease, seal.NewLease());
  std::vector<Worker> states(workers);
  for (Worker& worker : states) {
    TRY_ASSIGN(worker.sealer, seal.NewSealer());
  }
  TRY_ASSIGN(auto region, outside.Reserve(bytes));
  const std::span<std::byte> memory = region->bytes();
  if (memory.size() < bytes) {
    return Error{Code::kUnavailable,
                 "the host lent less than the " + FormatBytes(bytes) + " that it was asked for"};
  }
  return std::unique_ptr<RowStore>(new RowStore(std::move(places), std::move(states), lease,
                                                std::move(region), memory.first(bytes)));
}

uint64_t RowStore::BlockBytes(StoreSlot slot, uint64_t block) const {
  CORACLE_CHECK(Position(slot) < places_.size());
  const StoredTensor& tensor = places_[Position(slot)].tensor;
  CORACLE_CHECK(block < tensor.block_count());
  return RowsOf(tensor, block) * tensor.row_bytes;
}

std::span<std::byte> RowStore::SealedBlock(const Place& place, uint64_t block, uint64_t bytes) {
  return outside_.subspan(place.offset + block * place.stride, bytes + crypto::kTagBytes);
}

SealOutcome RowStore::SealBlock(uint32_t worker, StoreSlot slot, uint64_t block, Bytes rows,
                                SealCounter& counter) {
  CORACLE_CHECK(worker < workers_.size() && rows.size() == BlockBytes(slot, block));
  const Place& place = places_[Position(slot)];
  const std::span<std::byte> sealed = SealedBlock(place, block, rows.size());
  const Associated associated = AssociatedOf(lease_, place.tensor, block);
  crypto::Tag tag{};
  Worker& self = workers_[worker];
  const SealOutcome outcome =
      self.sealer->Seal(associated, rows, sealed.first(rows.size()), tag, counter);
  if (outcome == SealOutcome::kRefused) return outcome;
  std::memcpy(sealed.data() + rows.size(), tag.data(), tag.size());
  self.stats.sealed_bytes += rows.size();
  return outcome;
}

crypto::Verdict RowStore::OpenBlock(uint32_t worker, StoreSlot slot, uint64_t block,
                                    std::span<std::byte> rows, SealCounter counter) {
  CORACLE_CHECK(worker < workers_.size() && rows.size() == BlockBytes(slot, block));
  const Place& place = places_[Position(slot)];
  const std::span<const std::byte> sealed = SealedBlock(place, block, rows.size());
  const Associated associated = AssociatedOf(lease_, place.tensor, block);
  crypto::Tag tag;  // copied inside before it is looked at
  std::memcpy(tag.data(), sealed.data() + rows.size(), tag.size());
  Worker& self = workers_[worker];
  self.stats.opened_bytes += rows.size();
  return self.sealer->Open(counter, associated, sealed.first(rows.size()), tag, rows);
}

RowStoreStats RowStore::stats() const {
  RowStoreStats sum;
  for (const Worker& worker : workers_) {
    sum.sealed_bytes += worker.stats.sealed_bytes;
    sum.opened_bytes += worker.stats.opened_bytes;
  }
  return sum;
}

}  // namespace coracle::runtime
