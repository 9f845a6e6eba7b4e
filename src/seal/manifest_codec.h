// The manifest's plain text <-> seal::Manifest. Canonical: what DecodeManifest accepts,
// EncodeManifest gives back byte by byte.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "seal/model.h"

namespace coracle::seal {

/// The plain text, padded. Takes anything: only DecodeManifest tells whether a reader accepts it.
std::vector<std::byte> EncodeManifest(const Manifest& manifest);

/// Decodes and checks everything that the text alone tells, graph::Verify included. The offsets of
/// the chunks follow from their lengths. `plain` is authentic but not trusted.
/// Errors: kMalformed, kUnsupported, naming what is wrong.
Result<Manifest> DecodeManifest(Bytes plain);

/// Where the last chunk ends: the manifest's offset in the file.
uint64_t ChunksEnd(const Manifest& manifest);

}  // namespace coracle::seal
