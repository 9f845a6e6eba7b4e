#include "seal/manifest_sealer.h"

#include <memory>

namespace coracle::seal {

Status SealManifest(const crypto::Key256& key, crypto::AeadBackend backend,
                    const HeaderBytes& header_bytes, std::vector<std::byte>& text) {
  TRY_ASSIGN(const std::unique_ptr<crypto::Aead> aead, crypto::MakeAead(backend, key));
  crypto::Tag tag{};
  aead->Seal(kManifestNonce, header_bytes, text, text, tag);
  text.insert(text.end(), tag.begin(), tag.end());
  return {};
}

}  // namespace coracle::seal
