#include "host/posix/memory.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/units.h"

namespace coracle::host {
namespace {

class MappedRegion final : public MemoryRegion {
 public:
  explicit MappedRegion(std::span<std::byte> bytes) : bytes_(bytes) {}
  ~MappedRegion() override {
    if (bytes_.empty()) return;
    ::explicit_bzero(bytes_.data(), bytes_.size());
    ::munmap(bytes_.data(), bytes_.size());
  }
  std::span<std::byte> bytes() override { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

/// Gives every page its memory now.
void Populate(std::span<std::byte> bytes) {
  const auto page_bytes = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  for (size_t offset = 0; offset < bytes.size(); offset += page_bytes) {
    *const_cast<volatile std::byte*>(&bytes[offset]) = std::byte{0};
  }
}

}  // namespace

Result<std::unique_ptr<MemoryRegion>> PosixMemory::Reserve(uint64_t bytes) {
  if (bytes == 0)
    return std::unique_ptr<MemoryRegion>(std::make_unique<MappedRegion>(std::span<std::byte>()));
  void* base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) {
    return Error{Code::kUnavailable, "the system refused " + FormatBytes(bytes) +
                                         " of memory; plan with a smaller --memory"};
  }
  (void)::madvise(base, bytes, MADV_DONTDUMP);  // advice: a refusal changes nothing else
  const std::span<std::byte> region(static_cast<std::byte*>(base), bytes);
  Populate(region);
  return std::unique_ptr<MemoryRegion>(std::make_unique<MappedRegion>(region));
}

}  // namespace coracle::host
