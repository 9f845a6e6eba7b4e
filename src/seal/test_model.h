// A small sealed model for tests: four nodes with weights, seven chunks.
#pragma once

#include <vector>

#include "crypto/secret_bytes.h"
#include "host/blob.h"
#include "seal/reader.h"
#include "seal/writer.h"

namespace coracle::seal {

/// The file in memory.
class MemorySink final : public Sink {
 public:
  Status WriteAt(uint64_t offset, Bytes bytes) override;
  std::vector<std::byte> bytes;
};

/// A sink whose call `call` (from 0) fails.
class FailingSink final : public Sink {
 public:
  explicit FailingSink(uint64_t call) : calls_left_(call) {}
  Status WriteAt(uint64_t offset, Bytes bytes) override;
  MemorySink inner;

 private:
  uint64_t calls_left_;
};

/// An owner key that is `seed` in every byte.
crypto::Key256 TestKey(uint8_t seed);

/// input 2x4 -> Dense 48 -> Affine -> Affine -> Affine -> output 2x48, with labels and texts.
/// `chunks` is empty: the writer fills it in.
Manifest SmallManifest();
/// What the chunks hold, and whether they are coded.
enum class Weights : uint8_t {
  kNoise,
  kCoded,  ///< every byte below 16, so that all chunks but the smallest are coded
};

struct SealOptions {
  uint8_t key = 1;
  uint64_t entropy_seed = 1;
  uint64_t weight_seed = 1;
  crypto::AeadBackend backend = crypto::PreferredAeadBackend();
  Weights weights = Weights::kNoise;
};
/// The plain text of its chunk `index`, the same for every model of one `weight_seed`.
std::vector<std::byte> SmallChunk(const Manifest& manifest, size_t index, uint64_t weight_seed,
                                  Weights weights = Weights::kNoise);
std::vector<std::byte> SealSmallModel(const SealOptions& options = {});

/// Opens the model and every chunk of it. Errors: the first that occurs; kTampered for a chunk.
Status OpenAll(const host::Blob& blob, const crypto::Key256& key, crypto::AeadBackend backend);

}  // namespace coracle::seal
