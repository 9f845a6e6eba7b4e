#include "host/posix/outside_memory.h"

#include "host/posix/mapping.h"

namespace coracle::host {
namespace {

class MappedOutside final : public OutsideRegion {
 public:
  explicit MappedOutside(std::span<std::byte> bytes) : bytes_(bytes) {}
  ~MappedOutside() override {
    if (!bytes_.empty()) UnmapPages(bytes_);
  }
  std::span<std::byte> bytes() override { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

}  // namespace

Result<std::unique_ptr<OutsideRegion>> PosixOutsideMemory::Reserve(uint64_t bytes) {
  std::span<std::byte> pages;
  if (bytes > 0) {
    TRY_ASSIGN(pages, MapSharedPages(bytes, kOutsideMemoryName, "memory outside of the budget"));
  }
  return std::unique_ptr<OutsideRegion>(std::make_unique<MappedOutside>(pages));
}

}  // namespace coracle::host
