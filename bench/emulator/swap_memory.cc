#include "swap_memory.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "emulator/pager/move_pages_abi.h"

namespace coracle::bench {
namespace {

void Must(bool done, const char* what) {
  if (done) return;
  std::perror(what);
  std::abort();
}

std::byte* MapPages(uint64_t pages) {
  void* at =
      mmap(nullptr, pages * kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  Must(at != MAP_FAILED, "mmap");
  return static_cast<std::byte*>(at);
}

uint64_t AddressOf(const void* at) { return reinterpret_cast<uintptr_t>(at); }

void Register(int userfault, const std::byte* at, uint64_t pages) {
  uffdio_register request{};
  request.range = {AddressOf(at), pages * kPageBytes};
  request.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP;
  Must(ioctl(userfault, UFFDIO_REGISTER, &request) == 0, "UFFDIO_REGISTER");
}

void MovePages(int userfault, const std::byte* to, const std::byte* from, uint64_t pages) {
  epc::MoveArguments request{AddressOf(to), AddressOf(from), pages * kPageBytes, 0, 0};
  Must(ioctl(userfault, epc::kMoveRequest, &request) == 0, "UFFDIO_MOVE");
}

void CopyPage(int userfault, const std::byte* to, const std::byte* from) {
  uffdio_copy request{};
  request.dst = AddressOf(to);
  request.src = AddressOf(from);
  request.len = kPageBytes;
  Must(ioctl(userfault, UFFDIO_COPY, &request) == 0, "UFFDIO_COPY");
}

crypto::Nonce NonceOf(uint64_t version) {
  crypto::Nonce nonce{};
  std::memcpy(nonce.data(), &version, sizeof(version));
  return nonce;
}

std::array<std::byte, 8> AssociatedOf(uint64_t index) {
  std::array<std::byte, 8> associated{};
  std::memcpy(associated.data(), &index, sizeof(index));
  return associated;
}

}  // namespace

int OpenUserFault(bool with_signals, bool* has_move) {
  for (const bool move : {true, false}) {
    const auto fd =
        static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY));
    if (fd < 0) return -1;
    uffdio_api api{};
    api.api = UFFD_API;
    api.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP | (with_signals ? UFFD_FEATURE_SIGBUS : 0) |
                   (move ? epc::kFeatureMove : 0);
    *has_move = move;
    if (ioctl(fd, UFFDIO_API, &api) == 0) return fd;
    close(fd);
  }
  return -1;
}

SwapMemory::SwapMemory(int userfault, Moves moves, uint32_t batch, uint64_t pages,
                       uint64_t limit_pages)
    : userfault_(userfault),
      moves_(moves),
      batch_(batch),
      pages_(pages),
      limit_pages_(limit_pages),
      region_(MapPages(pages)),
      store_(MapPages(pages)),
      frames_(MapPages(kBatchMax + 1)),
      sealed_(pages),
      present_(limit_pages) {
  std::random_device random;
  crypto::Key256 key;
  for (std::byte& byte : key.mutable_bytes()) byte = static_cast<std::byte>(random());
  auto aead = crypto::MakeAead(crypto::PreferredAeadBackend(), key);
  Must(aead.ok(), "AES-GCM");
  aead_ = std::move(*aead);
  std::memset(store_, 0, pages * kPageBytes);
  if (moves == Moves::kProtect) {
    Must(mprotect(region_, pages * kPageBytes, PROT_NONE) == 0, "mprotect");
    return;
  }
  Register(userfault, region_, pages);
  Register(userfault, frames_, kBatchMax);
  // The buffer must be there before a handler writes to it.
  frames_[kBatchMax * kPageBytes] = std::byte{0};
}

SwapMemory::~SwapMemory() {
  munmap(region_, pages_ * kPageBytes);
  munmap(store_, pages_ * kPageBytes);
  munmap(frames_, (kBatchMax + 1) * kPageBytes);
}

bool SwapMemory::Contains(const void* address) const {
  return address >= region_ && address < region_ + pages_ * kPageBytes;
}

void SwapMemory::Seal(const std::byte* plaintext, uint64_t index) {
  const uint64_t begin = __builtin_ia32_rdtsc();
  Sealed& sealed = sealed_[index];
  sealed.there = true;
  sealed.version = ++version_;
  aead_->Seal(NonceOf(sealed.version), AssociatedOf(index), {plaintext, kPageBytes},
              {store_ + index * kPageBytes, kPageBytes}, sealed.tag);
  ticks_.crypto += __builtin_ia32_rdtsc() - begin;
}

void SwapMemory::Open(uint64_t index, std::byte* plaintext) {
  Sealed& sealed = sealed_[index];
  if (!sealed.there) {
    std::memset(plaintext, 0, kPageBytes);
    return;
  }
  const uint64_t begin = __builtin_ia32_rdtsc();
  sealed.there = false;
  const crypto::Verdict verdict =
      aead_->Open(NonceOf(sealed.version), AssociatedOf(index),
                  {store_ + index * kPageBytes, kPageBytes}, sealed.tag, {plaintext, kPageBytes});
  Must(verdict == crypto::Verdict::kAuthentic, "AES-GCM");
  ticks_.crypto += __builtin_ia32_rdtsc() - begin;
}

void SwapMemory::Evict() {
  uint64_t run[kBatchMax];
  uint32_t count = 0;
  while (count < batch_ && present_count_ != 0) {
    const uint64_t index = present_[oldest_];
    if (count != 0 && index != run[count - 1] + 1) break;
    run[count++] = index;
    oldest_ = (oldest_ + 1) % limit_pages_;
    --present_count_;
  }
  std::byte* begin = page(run[0]);
  const uint64_t out_begin = __builtin_ia32_rdtsc();
  if (moves_ == Moves::kMove) {
    MovePages(userfault_, frames_, begin, count);
    free_frames_ = count;
  } else if (moves_ == Moves::kCopy) {
    uffdio_writeprotect request{};
    request.range = {AddressOf(begin), count * kPageBytes};
    request.mode = UFFDIO_WRITEPROTECT_MODE_WP;
    Must(ioctl(userfault_, UFFDIO_WRITEPROTECT, &request) == 0, "UFFDIO_WRITEPROTECT");
  } else {
    Must(mprotect(begin, count * kPageBytes, PROT_READ) == 0, "mprotect");
  }
  ticks_.mapping += __builtin_ia32_rdtsc() - out_begin;
  const std::byte* plaintext = moves_ == Moves::kMove ? frames_ : begin;
  for (uint32_t i = 0; i < count; ++i) Seal(plaintext + i * kPageBytes, run[i]);
  if (moves_ == Moves::kMove) return;
  const uint64_t drop_begin = __builtin_ia32_rdtsc();
  if (moves_ == Moves::kProtect) {
    Must(mprotect(begin, count * kPageBytes, PROT_NONE) == 0, "mprotect");
  }
  Must(madvise(begin, count * kPageBytes, MADV_DONTNEED) == 0, "madvise");
  ticks_.mapping += __builtin_ia32_rdtsc() - drop_begin;
}

void SwapMemory::LoadByMove(uint64_t index) {
  std::byte* frame = frames_ + --free_frames_ * kPageBytes;
  Open(index, frame);
  const uint64_t begin = __builtin_ia32_rdtsc();
  MovePages(userfault_, page(index), frame, 1);
  ticks_.mapping += __builtin_ia32_rdtsc() - begin;
}

void SwapMemory::Load(uint64_t index) {
  if (moves_ == Moves::kMove && free_frames_ != 0) return LoadByMove(index);
  std::byte* buffer = frames_ + kBatchMax * kPageBytes;
  if (moves_ != Moves::kProtect) Open(index, buffer);
  const uint64_t begin = __builtin_ia32_rdtsc();
  if (moves_ == Moves::kProtect) {
    Must(mprotect(page(index), kPageBytes, PROT_READ | PROT_WRITE) == 0, "mprotect");
    *page(index) = std::byte{0};  // the kernel's part: a page
  } else {
    CopyPage(userfault_, page(index), buffer);
  }
  ticks_.mapping += __builtin_ia32_rdtsc() - begin;
  if (moves_ == Moves::kProtect) Open(index, page(index));
}

void SwapMemory::Serve(const void* address) {
  const uint64_t index = IndexOf(static_cast<const std::byte*>(address));
  if (free_frames_ == 0 && present_count_ == limit_pages_) Evict();
  Load(index);
  present_[(oldest_ + present_count_++) % limit_pages_] = index;
}

}  // namespace coracle::bench
