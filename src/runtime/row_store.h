// RowStore: host memory for the tensors of one session that do not stay inside: spilled ones, and
// the ones behind row sources and sinks. Sealed out and opened by blocks of rows.
//
// A block lies outside as its ciphertext and a 16-byte tag. Inside, in the pool, stands its
// counter, which names the one nonce that sealed its present content; the caller keeps it, counts
// it, and hands it over with each call. Associated data binds lease, tensor, input of the convoy
// and rows. So a block opens only as the latest content of its own place: everything else that the
// host can show (changed, cut, moved, older, another session's) is kTampered. What the host learns
// is which block is sealed or opened when. Blocks are never compressed: a length would tell of the
// values.
//
// Threads: workers seal and open at the same time, each under its own number, but no block that
// another is sealing. SealBlock and OpenBlock allocate nothing and make no system call.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/index.h"
#include "base/result.h"
#include "graph/graph.h"
#include "host/outside.h"
#include "runtime/process_seal.h"

namespace coracle::runtime {

/// A block is sealed in one call of the AEAD.
inline constexpr uint64_t kMaxRowBlockBytes = uint64_t{1} << 30;

/// A tensor as the store cuts it: blocks of `block_rows` rows, the last one possibly of fewer; the
/// blocks of a convoy's inputs follow one another. Requires: nothing is 0.
struct StoredTensor {
  graph::TensorIndex tensor{};
  uint64_t rows = 0;  ///< of one input
  uint64_t row_bytes = 0;
  uint64_t block_rows = 0;
  uint64_t batch = 1;  ///< inputs

  uint64_t blocks_per_input() const;
  /// How many counters the caller keeps for it.
  uint64_t block_count() const { return batch * blocks_per_input(); }
};

/// The position of a tensor in the list that the store was made with.
enum class StoreSlot : uint32_t {};

/// Plaintext bytes since the store was made.
struct RowStoreStats {
  uint64_t sealed_bytes = 0;
  uint64_t opened_bytes = 0;
};

class RowStore {
 public:
  /// Reserves the outside memory and takes a lease. `seal` must outlive the store, `outside` too.
  /// Errors: kUnavailable (also if the host lends less than was asked for), kUnsupported (a block
  /// beyond kMaxRowBlockBytes, or more than 64 bits of memory).
  static Result<std::unique_ptr<RowStore>> Create(std::span<const StoredTensor> tensors,
                                                  uint32_t workers, ProcessSeal& seal,
                                                  host::OutsideMemory& outside);

  /// Bytes of plaintext in a block. Requires: block < block_count().
  uint64_t BlockBytes(StoreSlot slot, uint64_t block) const;

  /// Seals the block's rows (exactly BlockBytes, one after another) out to the host, over whatever
  /// was there. `counter` then stands for this content; kRefused: kNeverSealed, nothing is there.
  SealOutcome SealBlock(uint32_t worker, StoreSlot slot, uint64_t block, Bytes rows,
                        SealCounter& counter);
  /// Opens the block that was sealed under `counter` into `rows` (exactly BlockBytes). kTampered:
  /// `rows` has been zeroed; also for kNeverSealed.
  crypto::Verdict OpenBlock(uint32_t worker, StoreSlot slot, uint64_t block,
                            std::span<std::byte> rows, SealCounter counter);

  /// Of all workers. Requires: none is at work.
  RowStoreStats stats() const;
  /// What the store takes of the host.
  uint64_t outside_bytes() const { return outside_.size(); }

 private:
  struct Place {
    StoredTensor tensor;
    uint64_t offset = 0;  // outside, of block 0
    uint64_t stride = 0;  // from block to block
  };
  /// Of one worker; no two on one cache line.
  struct alignas(64) Worker {
    std::unique_ptr<ProcessSealer> sealer;
    RowStoreStats stats;
  };

  RowStore(std::vector<Place> places, std::vector<Worker> workers, Lease lease,
           std::unique_ptr<host::OutsideRegion> region, std::span<std::byte> outside)
      : places_(std::move(places)),
        workers_(std::move(workers)),
        lease_(lease),
        region_(std::move(region)),
        outside_(outside) {}

  /// Where a block's ciphertext and tag stand.
  std::span<std::byte> SealedBlock(const Place& place, uint64_t block, uint64_t bytes);

  const std::vector<Place> places_;
  std::vector<Worker> workers_;
  const Lease lease_;
  const std::unique_ptr<host::OutsideRegion> region_;
  const std::span<std::byte> outside_;  // asked for once, never again
};

}  // namespace coracle::runtime
