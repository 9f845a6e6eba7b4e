// The keys of one sealed file, from the owner key (docs/formats/sealed-model.md, Keys).
#pragma once

#include "crypto/hash.h"
#include "crypto/secret_bytes.h"
#include "seal/format.h"

namespace coracle::seal {

struct FileKeys {
  Commitment commitment{};  ///< public: it stands in the header
  crypto::Key256 manifest;
  crypto::Key256 chunks;
};

/// Errors: kInternal if the crypto library fails.
Result<FileKeys> DeriveFileKeys(const crypto::Key256& owner_key, const Salt& salt,
                                const ModelId& model_id);

}  // namespace coracle::seal
