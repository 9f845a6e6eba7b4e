// Sealing a manifest's text: for the writer, and for the fuzzer, which seals texts that no honest
// writer would.
#pragma once

#include <vector>

#include "base/result.h"
#include "crypto/aead.h"
#include "seal/format.h"

namespace coracle::seal {

/// Seals `text` where it is and appends the tag. Requires: header_bytes are the file's final ones.
/// Errors: kUnsupported if this machine cannot run `backend`.
Status SealManifest(const crypto::Key256& key, crypto::AeadBackend backend,
                    const HeaderBytes& header_bytes, std::vector<std::byte>& text);

}  // namespace coracle::seal
