// A file that appears complete or not at all.
//
// It is written under a temporary name in the same directory, then made durable and renamed. An
// error, an early return or (once RemoveTemporaryFilesOnSignal has been called) Ctrl-C leaves no
// file behind; kill -9 and a power cut may leave the temporary one, whose name ends in ".tmp".
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace coracle::host {

/// How many AtomicFiles may be open at once in a process.
inline constexpr uint32_t kMaxAtomicFiles = 16;

enum class Overwrite : uint8_t { kRefuse, kReplace };

/// Threads: one at a time.
class AtomicFile {
 public:
  /// `mode` as open(2) takes it: 0600 for keys, 0644 for what anybody may read; less the umask.
  /// Errors: kAlreadyExists (kRefuse), kNotFound (the directory), kPermissionDenied,
  /// kInvalidArgument (a directory, a device, a pipe, a link to nothing), kUnavailable. A link
  /// stays, and what it leads to is replaced.
  static Result<std::unique_ptr<AtomicFile>> Create(const std::string& path, mode_t mode,
                                                    Overwrite overwrite);
  virtual ~AtomicFile() = default;

  /// Errors: kUnavailable (the disk is full, ...).
  virtual Status WriteAt(uint64_t offset, Bytes bytes) = 0;
  /// Flushes to the disk and gives the file its name. Nothing may be written after.
  /// Errors: kUnavailable; kAlreadyExists if somebody else has made the file meanwhile (kRefuse).
  virtual Status Commit() = 0;
};

/// Turns clean-up on for this process: programs call it once, at their start; a library never
/// does. On SIGINT, SIGTERM and SIGHUP the temporary names of open AtomicFiles are unlinked, then
/// the signal does what it does by default. Signals that the program ignores stay ignored.
/// Errors: kUnavailable.
Status RemoveTemporaryFilesOnSignal();

}  // namespace coracle::host
