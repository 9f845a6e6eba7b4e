#include "host/fake/memory.h"

#include <algorithm>

#include "base/check.h"

namespace coracle::host {
namespace {

constexpr uint64_t kAlignment = 4096;  // a page, as the interfaces promise

using Shared = std::shared_ptr<std::vector<std::byte>>;

/// Room to align in.
Shared MakeShared(uint64_t bytes) {
  return std::make_shared<std::vector<std::byte>>(bytes + kAlignment);
}

std::span<std::byte> Aligned(const Shared& memory) {
  const auto address = reinterpret_cast<uintptr_t>(memory->data());
  const uint64_t skipped = (kAlignment - address % kAlignment) % kAlignment;
  return std::span(*memory).subspan(skipped, memory->size() - kAlignment);
}

class SharedMemoryRegion final : public MemoryRegion {
 public:
  explicit SharedMemoryRegion(Shared memory) : memory_(std::move(memory)) {}
  std::span<std::byte> bytes() override { return Aligned(memory_); }

 private:
  Shared memory_;
};

class SharedOutsideRegion final : public OutsideRegion {
 public:
  explicit SharedOutsideRegion(Shared memory) : memory_(std::move(memory)) {}
  std::span<std::byte> bytes() override { return Aligned(memory_); }

 private:
  Shared memory_;
};

}  // namespace

Result<std::unique_ptr<MemoryRegion>> FakeMemory::Reserve(uint64_t bytes) {
  return std::unique_ptr<MemoryRegion>(std::make_unique<SharedMemoryRegion>(MakeShared(bytes)));
}

Result<std::unique_ptr<MemoryRegion>> FakeMemory::ReserveForProcess(uint64_t bytes) {
  if (calls_left_ == 0) return Error{Code::kUnavailable, "the fake host cannot wipe on fork"};
  --calls_left_;
  const Shared memory = MakeShared(bytes);
  for_process_.push_back(memory);
  return std::unique_ptr<MemoryRegion>(std::make_unique<SharedMemoryRegion>(memory));
}

void FakeMemory::WipeAsForkDoes() {
  for (const auto& region : for_process_) {
    if (const Shared memory = region.lock()) std::ranges::fill(*memory, std::byte{0});
  }
}

Result<std::unique_ptr<OutsideRegion>> FakeOutsideMemory::Reserve(uint64_t bytes) {
  CORACLE_CHECK(missing_ <= bytes);
  regions_.push_back(MakeShared(bytes - missing_));
  missing_ = 0;
  return std::unique_ptr<OutsideRegion>(std::make_unique<SharedOutsideRegion>(regions_.back()));
}

std::span<std::byte> FakeOutsideMemory::bytes(size_t region) {
  CORACLE_CHECK(region < regions_.size());
  return Aligned(regions_[region]);
}

void FakeOutsideMemory::Flip(size_t region, uint64_t bit) {
  const std::span<std::byte> all = bytes(region);
  CORACLE_CHECK(bit / 8 < all.size());
  all[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
}

void FakeOutsideMemory::Swap(size_t region, uint64_t a, uint64_t b, uint64_t bytes_each) {
  const std::span<std::byte> all = bytes(region);
  std::ranges::swap_ranges(all.subspan(a, bytes_each), all.subspan(b, bytes_each));
}

std::vector<std::byte> FakeOutsideMemory::Snapshot(size_t region) {
  const std::span<std::byte> all = bytes(region);
  return {all.begin(), all.end()};
}

void FakeOutsideMemory::Replay(size_t region, uint64_t offset, std::span<const std::byte> older) {
  std::ranges::copy(older, bytes(region).subspan(offset, older.size()).begin());
}

}  // namespace coracle::host
