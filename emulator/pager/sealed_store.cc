#include "emulator/pager/sealed_store.h"

#include <sys/mman.h>

#include <new>

#include "crypto/aead_backends.h"
#include "emulator/pager/fatal.h"
#include "emulator/pager/own_memory.h"

namespace coracle::epc {
namespace {

// Address space only; halved until the kernel grants it (RLIMIT_AS, strict overcommit).
constexpr uint64_t kSlotsMost = uint64_t{1} << 26;   // 256 GiB
constexpr uint64_t kSlotsLeast = uint64_t{1} << 14;  // 64 MiB

template <size_t N>
void PutNumber(uint64_t value, std::array<std::byte, N>& bytes) {
  for (uint32_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::byte>(value >> (8 * i));
}

crypto::Nonce NonceOf(uint64_t version) {
  crypto::Nonce nonce{};
  PutNumber(version, nonce);
  return nonce;
}

std::array<std::byte, 8> AssociatedOf(uintptr_t address) {
  std::array<std::byte, 8> associated{};
  PutNumber(address, associated);
  return associated;
}

crypto::Tag& TagOf(PageRecord& page) { return *reinterpret_cast<crypto::Tag*>(page.tag); }
const crypto::Tag& TagOf(const PageRecord& page) {
  return *reinterpret_cast<const crypto::Tag*>(page.tag);
}
static_assert(sizeof(crypto::Tag) == sizeof(PageRecord::tag));

bool RandomKey(crypto::Key256& key) {
  const std::span<std::byte> bytes = key.mutable_bytes();
  return RawCall(SYS_getrandom, AsLong(bytes.data()), AsLong(bytes.size()), 0) ==
         static_cast<long>(bytes.size());
}

}  // namespace

const char* SealedStore::Init() {
  for (slots_count_ = kSlotsMost; slots_count_ >= kSlotsLeast; slots_count_ /= 2) {
    slots_ = static_cast<std::byte*>(MapOwn(slots_count_ * kPageBytes));
    if (slots_ != nullptr) break;
  }
  if (slots_ == nullptr) return "no address space for the sealed store (ulimit -v)";
  free_slots_ = static_cast<uint32_t*>(MapOwn(slots_count_ * sizeof(uint32_t)));
  key_memory_ = static_cast<std::byte*>(MapOwn(kPageBytes));
  if (free_slots_ == nullptr || key_memory_ == nullptr) return "no memory for the pager's tables";
  // Neither 256 GiB nor keys belong in core dumps. And so the store is a mapping of its own for the
  // kernel, which whoever attacks it (tests) finds in /proc/PID/smaps.
  RawCall(SYS_madvise, AsLong(slots_), AsLong(slots_count_ * kPageBytes), MADV_DONTDUMP);
  RawCall(SYS_madvise, AsLong(key_memory_), kPageBytes, MADV_DONTDUMP);
  crypto::Key256 key;
  if (!RandomKey(key)) return "getrandom(2) gives no key";
  auto aead = crypto::MakeIpsecMbAeadIn(std::span(key_memory_, crypto::kKeyMemoryBytes),
                                        crypto::IpsecMbIsa::kBest, key);
  if (!aead.ok()) return "this processor lacks the AES instructions that sealing needs";
  aead_ = std::move(*aead);
  return nullptr;
}

void SealedStore::Free() {
  aead_.reset();
  if (slots_ != nullptr) UnmapOwn(slots_, slots_count_ * kPageBytes);
  if (free_slots_ != nullptr) UnmapOwn(free_slots_, slots_count_ * sizeof(uint32_t));
  if (key_memory_ != nullptr) UnmapOwn(key_memory_, kPageBytes);
}

bool SealedStore::Seal(const std::byte* plaintext, PageRecord& page) {
  if (free_count_ != 0) {
    page.slot = free_slots_[--free_count_];
  } else {
    if (used_count_ == slots_count_) return false;
    page.slot = static_cast<uint32_t>(used_count_++);
  }
  page.version = ++version_;
  page.sealed_address = page.address;
  page.state = PageState::kSealed;
  aead_->Seal(NonceOf(page.version), AssociatedOf(page.sealed_address), {plaintext, kPageBytes},
              {slots_ + page.slot * kPageBytes, kPageBytes}, TagOf(page));
  return true;
}

bool SealedStore::Open(const PageRecord& page, std::byte* plaintext) {
  return aead_->Open(NonceOf(page.version), AssociatedOf(page.sealed_address),
                     {slots_ + page.slot * kPageBytes, kPageBytes}, TagOf(page),
                     {plaintext, kPageBytes}) == crypto::Verdict::kAuthentic;
}

}  // namespace coracle::epc
