#include "seal/keys.h"

#include <algorithm>
#include <string_view>
#include <vector>

namespace coracle::seal {
namespace {

Result<crypto::Key256> DeriveFor(std::string_view purpose, const crypto::Key256& owner_key,
                                 const Salt& salt, const ModelId& model_id) {
  std::vector<std::byte> info(model_id.begin(), model_id.end());
  const Bytes purpose_bytes = std::as_bytes(std::span(purpose));
  info.insert(info.end(), purpose_bytes.begin(), purpose_bytes.end());
  return crypto::DeriveKey(owner_key, salt, info);
}

}  // namespace

Result<FileKeys> DeriveFileKeys(const crypto::Key256& owner_key, const Salt& salt,
                                const ModelId& model_id) {
  FileKeys keys;
  TRY_ASSIGN(const crypto::Key256 commitment, DeriveFor("commit", owner_key, salt, model_id));
  std::ranges::copy(commitment.bytes(), keys.commitment.begin());
  TRY_ASSIGN(keys.manifest, DeriveFor("manifest", owner_key, salt, model_id));
  TRY_ASSIGN(keys.chunks, DeriveFor("chunks", owner_key, salt, model_id));
  return keys;
}

}  // namespace coracle::seal
