#include "host/posix/memory.h"

#include <string.h>
#include <sys/mman.h>

#include <cerrno>

#include "host/posix/mapping.h"
#include "host/posix/system_error.h"

namespace coracle::host {
namespace {

class MappedRegion final : public MemoryRegion {
 public:
  explicit MappedRegion(std::span<std::byte> bytes) : bytes_(bytes) {}
  ~MappedRegion() override {
    if (bytes_.empty()) return;
    ::explicit_bzero(bytes_.data(), bytes_.size());
    UnmapPages(bytes_);
  }
  std::span<std::byte> bytes() override { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

}  // namespace

Result<std::unique_ptr<MemoryRegion>> PosixMemory::Reserve(uint64_t bytes) {
  std::span<std::byte> pages;
  if (bytes > 0) {
    TRY_ASSIGN(pages, MapPages(bytes, "memory"));
    // Advice: a refusal changes nothing else.
    (void)::madvise(pages.data(), pages.size(), MADV_DONTDUMP);
    // Transforms and weights walk through many pages at a time. Never more memory than was mapped.
    (void)::madvise(pages.data(), pages.size(), MADV_HUGEPAGE);
  }
  return std::unique_ptr<MemoryRegion>(std::make_unique<MappedRegion>(pages));
}

Result<std::unique_ptr<MemoryRegion>> PosixMemory::ReserveForProcess(uint64_t bytes) {
  TRY_ASSIGN(auto region, Reserve(bytes));
  const std::span<std::byte> pages = region->bytes();
  if (pages.empty()) return region;
  if (::madvise(pages.data(), pages.size(), MADV_WIPEONFORK) != 0) {
    return SystemError("keep a key from child processes with", "MADV_WIPEONFORK", errno);
  }
  (void)::mlock(pages.data(), pages.size());  // best effort: the limit is the user's business
  return region;
}

}  // namespace coracle::host
