// A sealed file on disk, as a Blob: mapped (view) or read piece by piece (read).
#pragma once

#include <memory>
#include <string>

#include "host/blob.h"

namespace coracle::host {

/// Maps the file read-only. Reading past what the file still holds raises SIGBUS unless
/// GuardMappedBlobs (blob_guard.h) has been called.
/// Errors: kNotFound, kPermissionDenied, kInvalidArgument (a directory, not a file, empty),
/// kUnavailable.
Result<std::unique_ptr<Blob>> OpenMappedBlob(const std::string& path);

/// Reads with pread, one call a Read. The pages that the system cached for it are given back when
/// the blob is closed. Errors: as OpenMappedBlob.
Result<std::unique_ptr<Blob>> OpenFileBlob(const std::string& path);

/// One of the two above.
Result<std::unique_ptr<Blob>> OpenBlob(const std::string& path, BlobAccess access);

}  // namespace coracle::host
