#include "cmd/support/result_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <vector>

#include "host/posix/atomic_file.h"
#include "host/posix/read_file.h"
#include "host/posix/system_error.h"

namespace coracle::cmd {
namespace {

constexpr uint64_t kSubjectBytesMax = 64 * 1024;

std::string SubjectPath(const std::string& path) { return path + ".batch"; }

Status WriteSubject(const std::string& path, const Json& subject) {
  const std::string text = subject.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
  TRY_ASSIGN(const auto file,
             host::AtomicFile::Create(SubjectPath(path), 0644, host::Overwrite::kReplace));
  TRY(file->WriteAt(0, std::as_bytes(std::span(text))));
  return file->Commit();
}

}  // namespace

Result<ResultFile> ResultFile::Open(const std::string& path, const Json& subject) {
  host::FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!file.open()) return host::SystemError("open", path, errno);
  if (::flock(file.number(), LOCK_EX | LOCK_NB) != 0) {
    return Error{Code::kUnavailable,
                 fmt::format("{}: another batch is writing it; wait, or name another file", path)};
  }
  struct stat status {};
  if (::fstat(file.number(), &status) != 0) return host::SystemError("read", path, errno);
  if (!S_ISREG(status.st_mode)) {
    return Error{Code::kInvalidArgument, fmt::format("{} is not a regular file", path)};
  }
  ResultFile results(path, std::move(file));
  if (status.st_size == 0) {
    TRY(WriteSubject(path, subject));
    return results;
  }
  TRY(results.CheckSubject(subject));
  TRY(results.ReadLines());
  return results;
}

Status ResultFile::CheckSubject(const Json& subject) const {
  if (!std::filesystem::exists(SubjectPath(path_))) {
    return Error{Code::kInvalidArgument,
                 fmt::format("{} was not begun by a batch ({} is missing); name another file",
                             path_, SubjectPath(path_))};
  }
  TRY_ASSIGN(const std::vector<std::byte> text,
             host::ReadWholeFile(SubjectPath(path_), kSubjectBytesMax));
  const char* const begin = reinterpret_cast<const char*>(text.data());
  const Json before = Json::parse(begin, begin + text.size(), nullptr, false);
  for (const auto& [key, value] : subject.items()) {
    if (before.is_object() && before.contains(key) && before[key] == value) continue;
    return Error{
        Code::kInvalidArgument,
        fmt::format("{} holds results of another batch (its {} differs); name another file, "
                    "or remove it and {}",
                    path_, key, SubjectPath(path_))};
  }
  return {};
}

Status ResultFile::ReadLines() {
  std::vector<char> buffer(64 * 1024);
  std::string line;
  off_t read_end = 0;
  off_t lines_end = 0;
  size_t number = 1;
  while (true) {
    const ssize_t got = ::pread(file_.number(), buffer.data(), buffer.size(), read_end);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return host::SystemError("read", path_, errno);
    if (got == 0) break;
    for (ssize_t i = 0; i < got; ++i) {
      const char next = buffer[static_cast<size_t>(i)];
      if (next != '\n') {
        line += next;
        continue;
      }
      TRY(ReadLine(line, number++));
      line.clear();
      lines_end = read_end + i + 1;
    }
    read_end += got;
    if (line.size() > kResultLineBytesMax) {
      return Error{Code::kMalformed,
                   fmt::format("{}: line {} is longer than any result", path_, number)};
    }
  }
  if (lines_end < read_end && ::ftruncate(file_.number(), lines_end) != 0) {
    return host::SystemError("drop the torn last line of", path_, errno);
  }
  return {};
}

Status ResultFile::ReadLine(const std::string& text, size_t number) {
  const Json line = Json::parse(text, nullptr, false);
  if (!line.is_object() || !line.contains("file") || !line["file"].is_string()) {
    return Error{Code::kMalformed,
                 fmt::format("{}: line {} is no result; name another file", path_, number)};
  }
  const bool fresh = files_.insert(line["file"].get<std::string>()).second;
  if (!fresh) {
    return Error{Code::kMalformed,
                 fmt::format("{}: line {} is the second for {}; name another file", path_, number,
                             line["file"].get<std::string>())};
  }
  if (line.contains("error")) ++error_count_;
  return {};
}

Status ResultFile::Append(const Json& line) {
  const std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  const char* next = text.data();
  size_t left = text.size();
  while (left > 0) {
    const ssize_t put = ::write(file_.number(), next, left);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return host::SystemError("write", path_, put < 0 ? errno : EIO);
    next += put;
    left -= static_cast<size_t>(put);
  }
  files_.insert(line["file"].get<std::string>());
  if (line.contains("error")) ++error_count_;
  return {};
}

Status ResultFile::Sync() {
  if (::fdatasync(file_.number()) != 0) return host::SystemError("write", path_, errno);
  return {};
}

}  // namespace coracle::cmd
