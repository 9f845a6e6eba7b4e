#include "vision/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/check.h"
#include "host/posix/system_error.h"

namespace coracle::vision {
namespace {

constexpr size_t kBufferBytes = 16 << 10;
constexpr mode_t kMode = 0666;  // less the umask

/// A link's target, so that the rename replaces the file and not the link.
std::string FollowLink(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_symlink(path, error)) return path;
  const auto target = std::filesystem::canonical(path, error);
  return error ? path : target.string();
}

bool IsDevice(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

}  // namespace

Result<OutputFile> OutputFile::Create(const std::string& path) {
  if (IsDevice(path)) {
    host::FileDescriptor device(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!device.open()) return host::SystemError("write", path, errno);
    return OutputFile(path, nullptr, std::move(device));
  }
  TRY_ASSIGN(auto file,
             host::AtomicFile::Create(FollowLink(path), kMode, host::Overwrite::kReplace));
  return OutputFile(path, std::move(file), host::FileDescriptor(-1));
}

OutputFile::OutputFile(std::string path, std::unique_ptr<host::AtomicFile> file,
                       host::FileDescriptor device)
    : path_(std::move(path)), file_(std::move(file)), device_(std::move(device)) {
  buffer_.reserve(kBufferBytes);
}

Status OutputFile::Write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const size_t count = std::min(bytes.size(), kBufferBytes - buffer_.size());
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(count));
    bytes = bytes.subspan(count);
    if (buffer_.size() == kBufferBytes) TRY(Flush());
  }
  return {};
}

Status OutputFile::WriteAt(uint64_t offset, std::span<const std::byte> bytes) {
  CORACLE_CHECK(TakesAnyOrder() && offset >= written_ + buffer_.size());
  return file_->WriteAt(offset, bytes);
}

Status OutputFile::WriteDevice() {
  for (size_t done = 0; done < buffer_.size();) {
    const ssize_t put = write(device_.number(), buffer_.data() + done, buffer_.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return host::SystemError("write", path_, errno);
    done += static_cast<size_t>(put);
  }
  return {};
}

Status OutputFile::Flush() {
  TRY(file_ != nullptr ? file_->WriteAt(written_, buffer_) : WriteDevice());
  written_ += buffer_.size();
  buffer_.clear();
  return {};
}

Status OutputFile::Commit() {
  TRY(Flush());
  return file_ != nullptr ? file_->Commit() : Status();
}

}  // namespace coracle::vision
