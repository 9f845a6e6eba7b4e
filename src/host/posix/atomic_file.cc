#include "host/posix/atomic_file.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "host/posix/file_descriptor.h"
#include "host/posix/system_error.h"

namespace coracle::host {
namespace {

enum class SlotState : uint32_t { kFree, kFilling, kLive };

struct Slot {
  std::atomic<SlotState> state{SlotState::kFree};
  char path[PATH_MAX] = {};
};

// Reached by a signal handler, hence process-wide: the temporary names to unlink.
Slot slots[kMaxAtomicFiles];

Slot* TakeSlot(const std::string& path) {
  for (Slot& slot : slots) {
    SlotState expected = SlotState::kFree;
    if (!slot.state.compare_exchange_strong(expected, SlotState::kFilling)) continue;
    std::memcpy(slot.path, path.c_str(), path.size() + 1);
    slot.state.store(SlotState::kLive);
    return &slot;
  }
  return nullptr;
}

/// Async-signal-safe: unlink, sigaction and raise are.
void OnTermination(int signal_number) {
  for (Slot& slot : slots) {
    if (slot.state.load() == SlotState::kLive) (void)::unlink(slot.path);
  }
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  ::sigaction(signal_number, &action, nullptr);
  ::raise(signal_number);
}

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

class PosixAtomicFile final : public AtomicFile {
 public:
  PosixAtomicFile(std::string path, std::string temporary, Overwrite overwrite, Slot* slot,
                  FileDescriptor file)
      : path_(std::move(path)),
        temporary_(std::move(temporary)),
        overwrite_(overwrite),
        slot_(slot),
        file_(std::move(file)) {}
  ~PosixAtomicFile() override {
    if (!committed_) (void)::unlink(temporary_.c_str());
    slot_->state.store(SlotState::kFree);
  }

  Status WriteAt(uint64_t offset, Bytes bytes) override {
    CORACLE_CHECK(!committed_);
    while (!bytes.empty()) {
      const ssize_t put =
          ::pwrite(file_.number(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) return SystemError("write", path_, put < 0 ? errno : EIO);
      offset += static_cast<uint64_t>(put);
      bytes = bytes.subspan(static_cast<size_t>(put));
    }
    return {};
  }

  Status Commit() override {
    CORACLE_CHECK(!committed_);
    if (::fsync(file_.number()) != 0) return SystemError("write", path_, errno);
    TRY(GiveName());
    committed_ = true;
    // The name is durable once its directory is; some file systems cannot say, and need not.
    const FileDescriptor directory(
        ::open(DirectoryOf(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory.open()) (void)::fsync(directory.number());
    return {};
  }

 private:
  Status GiveName() {
    if (overwrite_ == Overwrite::kReplace) {
      if (::rename(temporary_.c_str(), path_.c_str()) == 0) return {};
      return SystemError("write", path_, errno);
    }
    // link refuses an existing name, which rename would replace.
    if (::link(temporary_.c_str(), path_.c_str()) != 0) return SystemError("write", path_, errno);
    (void)::unlink(temporary_.c_str());
    return {};
  }

  std::string path_;
  std::string temporary_;
  Overwrite overwrite_;
  Slot* slot_;
  FileDescriptor file_;
  bool committed_ = false;
};

/// Refuses early what Commit would refuse after all the work, and what a rename must not replace: a
/// device, a pipe or a link that leads nowhere.
Status CheckTarget(const std::string& path, Overwrite overwrite) {
  struct stat status {};
  if (::stat(DirectoryOf(path).c_str(), &status) != 0) {
    return SystemError("write to directory", DirectoryOf(path), errno);
  }
  if (::lstat(path.c_str(), &status) != 0) return {};
  if (S_ISLNK(status.st_mode) && ::stat(path.c_str(), &status) != 0) {
    return Error{Code::kInvalidArgument, "cannot write '" + path + "': it is a link to nothing"};
  }
  if (S_ISDIR(status.st_mode)) return SystemError("write", path, EISDIR);
  if (!S_ISREG(status.st_mode)) {
    return Error{Code::kInvalidArgument, "cannot write '" + path + "': it is not a regular file"};
  }
  if (overwrite == Overwrite::kRefuse) return SystemError("write", path, EEXIST);
  return {};
}

/// The file that a link leads to, so that the link stays and its target is replaced; else `path`.
std::string BehindLink(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISLNK(status.st_mode)) return path;
  const std::unique_ptr<char, decltype(&std::free)> target(::realpath(path.c_str(), nullptr),
                                                           &std::free);
  return target == nullptr ? path : std::string(target.get());
}

}  // namespace

Result<std::unique_ptr<AtomicFile>> AtomicFile::Create(const std::string& requested, mode_t mode,
                                                       Overwrite overwrite) {
  TRY(CheckTarget(requested, overwrite));
  const std::string path = BehindLink(requested);
  // A program that seals twice into one path at once gets two names, thanks to the counter.
  constexpr int kAttempts = 100;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::string temporary =
        path + "." + std::to_string(::getpid()) + "-" + std::to_string(attempt) + ".tmp";
    if (temporary.size() >= PATH_MAX) return SystemError("write", path, ENAMETOOLONG);
    Slot* slot = TakeSlot(temporary);
    if (slot == nullptr) {
      return Error{Code::kUnavailable, "cannot write '" + path + "': too many files at once"};
    }
    FileDescriptor file(
        ::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    if (file.open()) {
      return std::unique_ptr<AtomicFile>(
          std::make_unique<PosixAtomicFile>(path, temporary, overwrite, slot, std::move(file)));
    }
    const int error = errno;
    slot->state.store(SlotState::kFree);
    if (error != EEXIST) return SystemError("write", path, error);
  }
  return SystemError("write", path, EEXIST);
}

Status RemoveTemporaryFilesOnSignal() {
  for (const int signal_number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    if (::sigaction(signal_number, nullptr, &before) != 0) {
      return SystemError("handle", "signals", errno);
    }
    if (before.sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_handler = OnTermination;
    ::sigemptyset(&action.sa_mask);
    if (::sigaction(signal_number, &action, nullptr) != 0) {
      return SystemError("handle", "signals", errno);
    }
  }
  return {};
}

}  // namespace coracle::host
