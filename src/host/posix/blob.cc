#include "host/posix/blob.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "host/posix/blob_guard.h"
#include "host/posix/file_descriptor.h"
#include "host/posix/system_error.h"

namespace coracle::host {
namespace {

struct OpenFile {
  FileDescriptor file;
  uint64_t bytes;
};

/// True if [offset, offset + bytes) lies within `size`.
bool InRange(uint64_t offset, uint64_t bytes, uint64_t size) {
  return offset <= size && bytes <= size - offset;
}

Result<OpenFile> OpenRegularFile(const std::string& path) {
  // O_NONBLOCK: a FIFO in a file's place is refused below instead of waited for.
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.open()) return SystemError("read", path, errno);
  struct stat status {};
  if (::fstat(file.number(), &status) != 0) return SystemError("read", path, errno);
  if (S_ISDIR(status.st_mode)) return SystemError("read", path, EISDIR);
  if (!S_ISREG(status.st_mode)) {
    return Error{Code::kInvalidArgument, "cannot read '" + path + "': it is not a regular file"};
  }
  if (status.st_size <= 0) {
    return Error{Code::kInvalidArgument, "cannot read '" + path + "': it is empty"};
  }
  return OpenFile{std::move(file), static_cast<uint64_t>(status.st_size)};
}

class MappedBlob final : public Blob {
 public:
  MappedBlob(Bytes mapped, BlobGuardSlot slot) : mapped_(mapped), slot_(std::move(slot)) {}
  ~MappedBlob() override {
    slot_.Release();  // before the address range can belong to something else
    ::munmap(const_cast<std::byte*>(mapped_.data()), mapped_.size());
  }

  BlobAccess access() const override { return BlobAccess::kView; }
  uint64_t size() const override { return mapped_.size(); }
  Bytes View(uint64_t offset, uint64_t bytes) const override {
    CORACLE_CHECK(InRange(offset, bytes, size()));
    return mapped_.subspan(offset, bytes);
  }
  ReadOutcome Read(uint64_t offset, std::span<std::byte> out) const override {
    if (!InRange(offset, out.size(), size())) return ReadOutcome::kFailed;
    if (!out.empty()) std::memcpy(out.data(), mapped_.data() + offset, out.size());
    return ReadOutcome::kDelivered;
  }

 private:
  Bytes mapped_;
  BlobGuardSlot slot_;
};

class FileBlob final : public Blob {
 public:
  FileBlob(FileDescriptor file, uint64_t bytes) : file_(std::move(file)), bytes_(bytes) {
    // Advice only: what is read once and decrypted at once need not crowd out anybody's cache.
    (void)::posix_fadvise(file_.number(), 0, 0, POSIX_FADV_NOREUSE);
  }
  ~FileBlob() override { (void)::posix_fadvise(file_.number(), 0, 0, POSIX_FADV_DONTNEED); }

  BlobAccess access() const override { return BlobAccess::kRead; }
  uint64_t size() const override { return bytes_; }
  Bytes View(uint64_t, uint64_t) const override {
    CORACLE_CHECK(false && "a read blob has no view");
    return {};
  }
  ReadOutcome Read(uint64_t offset, std::span<std::byte> out) const override {
    if (!InRange(offset, out.size(), bytes_)) return ReadOutcome::kFailed;
    // The system may deliver less at a time, or be interrupted; 0 means that the file was cut.
    while (!out.empty()) {
      const ssize_t got =
          ::pread(file_.number(), out.data(), out.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return ReadOutcome::kFailed;
      offset += static_cast<uint64_t>(got);
      out = out.subspan(static_cast<size_t>(got));
    }
    return ReadOutcome::kDelivered;
  }

 private:
  FileDescriptor file_;
  uint64_t bytes_;
};

}  // namespace

Result<std::unique_ptr<Blob>> OpenMappedBlob(const std::string& path) {
  TRY_ASSIGN(OpenFile opened, OpenRegularFile(path));
  void* base = ::mmap(nullptr, opened.bytes, PROT_READ, MAP_PRIVATE, opened.file.number(), 0);
  if (base == MAP_FAILED) return SystemError("map", path, errno);
  const Bytes mapped(static_cast<const std::byte*>(base), opened.bytes);
  std::optional<BlobGuardSlot> slot = BlobGuardSlot::Take(mapped);
  if (!slot) {
    ::munmap(base, opened.bytes);
    return Error{Code::kUnavailable, "cannot map '" + path +
                                         "': " + std::to_string(kMaxMappedBlobs) +
                                         " sealed files are mapped already; close one"};
  }
  return std::unique_ptr<Blob>(std::make_unique<MappedBlob>(mapped, std::move(*slot)));
}

Result<std::unique_ptr<Blob>> OpenFileBlob(const std::string& path) {
  TRY_ASSIGN(OpenFile opened, OpenRegularFile(path));
  return std::unique_ptr<Blob>(std::make_unique<FileBlob>(std::move(opened.file), opened.bytes));
}

Result<std::unique_ptr<Blob>> OpenBlob(const std::string& path, BlobAccess access) {
  return access == BlobAccess::kView ? OpenMappedBlob(path) : OpenFileBlob(path);
}

}  // namespace coracle::host
