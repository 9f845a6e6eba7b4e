#include "vision/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/check.h"

namespace coracle::vision {
namespace {

constexpr size_t kBufferBytes = 16 << 10;
constexpr int kNameAttempts = 100;

/// A link's target, so that the rename replaces the file and not the link.
std::string FollowLink(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_symlink(path, error)) return path;
  const auto target = std::filesystem::canonical(path, error);
  return error ? path : target.string();
}

}  // namespace

Result<OutputFile> OutputFile::Create(const std::string& path) {
  OutputFile file;
  file.path_ = FollowLink(path);
  file.buffer_.reserve(kBufferBytes);
  struct stat status {};
  const bool exists = stat(file.path_.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) {
    return Error{Code::kInvalidArgument, fmt::format("{} is a directory: name a file", path)};
  }
  if (exists && !S_ISREG(status.st_mode)) {
    file.descriptor_ = open(file.path_.c_str(), O_WRONLY | O_CLOEXEC);
    if (file.descriptor_ < 0) return file.Failure(errno);
    return file;
  }
  for (int attempt = 0; attempt < kNameAttempts && file.descriptor_ < 0; ++attempt) {
    file.temporary_ = fmt::format("{}.part-{}-{}", file.path_, getpid(), attempt);
    file.descriptor_ = open(file.temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file.descriptor_ < 0 && errno != EEXIST) break;
  }
  if (file.descriptor_ < 0) {
    const int number = errno;
    file.temporary_.clear();
    return file.Failure(number);
  }
  return file;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      buffer_(std::move(other.buffer_)) {}

OutputFile& OutputFile::operator=(OutputFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  std::swap(temporary_, other.temporary_);
  std::swap(buffer_, other.buffer_);
  return *this;
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

Error OutputFile::Failure(int number) const {
  const Code code = number == ENOENT || number == ENOTDIR ? Code::kNotFound
                    : number == EACCES || number == EPERM || number == EROFS
                        ? Code::kPermissionDenied
                        : Code::kUnavailable;
  return Error{code,
               fmt::format("cannot write {}: {}", path_, std::generic_category().message(number))};
}

Status OutputFile::Write(std::span<const std::byte> bytes) {
  CORACLE_CHECK(descriptor_ >= 0);
  while (!bytes.empty()) {
    const size_t count = std::min(bytes.size(), kBufferBytes - buffer_.size());
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(count));
    bytes = bytes.subspan(count);
    if (buffer_.size() == kBufferBytes) TRY(Flush());
  }
  return {};
}

Status OutputFile::Flush() {
  size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t wrote = write(descriptor_, buffer_.data() + done, buffer_.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return Failure(errno);
    done += static_cast<size_t>(wrote);
  }
  buffer_.clear();
  return {};
}

Status OutputFile::Commit() {
  CORACLE_CHECK(descriptor_ >= 0);
  TRY(Flush());
  if (close(std::exchange(descriptor_, -1)) != 0) return Failure(errno);
  if (temporary_.empty()) return {};
  if (rename(temporary_.c_str(), path_.c_str()) != 0) return Failure(errno);
  temporary_.clear();
  return {};
}

}  // namespace coracle::vision
