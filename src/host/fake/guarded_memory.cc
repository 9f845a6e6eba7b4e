#include "host/fake/guarded_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "base/checked.h"

namespace coracle::host {
namespace {

constexpr uint64_t kAlignment = 64;
/// Every float of these bytes is a NaN.
constexpr std::byte kPoison{0xFF};

class GuardedRegion final : public MemoryRegion {
 public:
  GuardedRegion(std::byte* base, uint64_t mapped_bytes, std::span<std::byte> bytes)
      : base_(base), mapped_bytes_(mapped_bytes), bytes_(bytes) {}
  ~GuardedRegion() override { ::munmap(base_, mapped_bytes_); }
  std::span<std::byte> bytes() override { return bytes_; }

 private:
  std::byte* const base_;
  const uint64_t mapped_bytes_;
  const std::span<std::byte> bytes_;
};

}  // namespace

Result<std::unique_ptr<MemoryRegion>> GuardedMemory::Reserve(uint64_t bytes) {
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const uint64_t inner = RoundUpToMultiple(std::max<uint64_t>(bytes, 1), page);
  const uint64_t mapped = inner + 2 * page;
  void* const map = ::mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) return Error{Code::kUnavailable, "no memory for a guarded region"};
  auto* const base = static_cast<std::byte*>(map);
  if (::mprotect(base + page, inner, PROT_READ | PROT_WRITE) != 0) {
    ::munmap(map, mapped);
    return Error{Code::kUnavailable, "guard pages are refused"};
  }
  std::fill(base + page, base + page + inner, kPoison);
  std::byte* const begin = base + page + inner - RoundUp(bytes, kAlignment);
  return std::unique_ptr<MemoryRegion>(
      std::make_unique<GuardedRegion>(base, mapped, std::span(begin, bytes)));
}

}  // namespace coracle::host
