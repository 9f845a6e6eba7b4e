#include "emulator/preload/adoption.h"

#include <asm/prctl.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <iterator>

#include "emulator/preload/process.h"
#include "emulator/preload/program_memory.h"
#include "emulator/preload/raw_call.h"

namespace coracle::epc {
namespace {

/// What the kernel writes to around the thread pointer: struct pthread of glibc 2.28 to 2.40 lies
/// behind it (2,304 bytes in 2.36), the rseq area of later ones before it.
constexpr uint64_t kBeforeThreadPointer = 256;
constexpr uint64_t kBehindThreadPointer = 2560;

Range ThreadControlPages() {
  uintptr_t pointer = 0;
  AskKernel(SYS_arch_prctl, ARCH_GET_FS, &pointer);
  constexpr uintptr_t kPageMask = ~(uintptr_t{kPageBytes} - 1);
  return {(pointer - kBeforeThreadPointer) & kPageMask,
          (pointer + kBehindThreadPointer + kPageBytes - 1) & kPageMask};
}

Range Clip(Range range, Range to) {
  const uintptr_t begin = range.begin > to.begin ? range.begin : to.begin;
  const uintptr_t end = range.end < to.end ? range.end : to.end;
  return begin < end ? Range{begin, end} : Range{};
}

void AdoptPart(Pager& pager, Range part, int protection, Charge charge) {
  if (part.begin == part.end) return;
  if (!pager.Adopt(part, protection, charge)) {
    Say(Line("epcrun: memory at ").AddHex(part.begin).Add(" cannot be registered: it is outside"));
  }
}

void AdoptAnonymous(Pager& pager, const MappedRegion& region, Range pinned) {
  const int protection = region.protection | (region.is_stack() ? PROT_GROWSDOWN : 0);
  // First of all, so that it is never away.
  AdoptPart(pager, Clip(region.range, pinned), region.protection, Charge::kPinned);
  AdoptPart(pager, Clip(region.range, {0, pinned.begin}), protection, Charge::kEvictable);
  AdoptPart(pager, Clip(region.range, {pinned.end, UINTPTR_MAX}), protection, Charge::kEvictable);
}

/// Puts anonymous memory with the same contents in the place of writable private pages of a file.
/// False: it is as it was.
bool MakeAnonymous(Range range, int protection) {
  const uint64_t bytes = range.end - range.begin;
  const long copy = AskKernel(SYS_mmap, nullptr, bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (IsError(copy)) return false;
  // Not by a plain copy: past the end of its file, a page is none.
  const bool copied = PeekProgram(
      range.begin, std::span(reinterpret_cast<std::byte*>(copy), static_cast<size_t>(bytes)));
  const bool moved = copied && AskKernel(SYS_mprotect, copy, bytes, protection) == 0 &&
                     !IsError(AskKernel(SYS_mremap, copy, bytes, bytes,
                                        MREMAP_MAYMOVE | MREMAP_FIXED, range.begin));
  if (!moved) AskKernel(SYS_munmap, copy, bytes);
  return moved;
}

/// Bytes of a private file mapping that the loader wrote and so are this process's own, whatever
/// the protection is now: relocated tables that became read-only.
uint64_t WrittenBytes(Range range, long pagemap) {
  // Documentation/admin-guide/mm/pagemap.rst
  constexpr uint64_t kPresent = uint64_t{1} << 63;
  constexpr uint64_t kOfFile = uint64_t{1} << 61;
  uint64_t entries[64] = {};
  uint64_t written_bytes = 0;
  for (uintptr_t at = range.begin; at < range.end; at += std::size(entries) * kPageBytes) {
    const uint64_t left = (range.end - at) / kPageBytes;
    const uint64_t count = left < std::size(entries) ? left : std::size(entries);
    const long got = AskKernel(SYS_pread64, pagemap, entries, count * sizeof entries[0],
                               at / kPageBytes * sizeof entries[0]);
    for (long i = 0; i < got / 8; ++i) {
      if ((entries[i] & kPresent) != 0 && (entries[i] & kOfFile) == 0) written_bytes += kPageBytes;
    }
  }
  return written_bytes;
}

}  // namespace

void AdoptExisting(Pager& pager, MemoryMap& map, Range own) {
  const Range pinned = ThreadControlPages();
  const long pagemap = AskKernel(SYS_openat, AT_FDCWD, "/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  MappedRegion region;
  while (map.Next(region)) {
    const bool is_own = region.range.begin < own.end && region.range.end > own.begin;
    if (is_own || region.is_kernels()) continue;
    // Writable, or made read-only after the loader had written to it.
    const bool is_data =
        !region.shared && region.of_file &&
        ((region.protection & PROT_WRITE) != 0 || WrittenBytes(region.range, pagemap) != 0);
    if (region.is_anonymous() || (is_data && MakeAnonymous(region.range, region.protection))) {
      AdoptAnonymous(pager, region, pinned);
    } else if (is_data) {
      pager.ChargePinned(region.range.end - region.range.begin);
    } else {
      pager.NoteOther(region.range, region.protection, !region.shared && region.of_file);
    }
  }
  AskKernel(SYS_close, pagemap);
}

}  // namespace coracle::epc
