// The program's memory calls, made in its stead: the kernel's table of mappings and ours change
// together, under the lock.
#include <errno.h>
#include <linux/mman.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "emulator/pager/fatal.h"
#include "emulator/pager/pager.h"
#include "emulator/pager/residency.h"

// Advice that Debian 12's headers lack.
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#define CORACLE_MADV_GUARD_INSTALL 102  // Linux 6.13

namespace coracle::epc {
namespace {

/// A call with MAP_FIXED or MREMAP_FIXED that failed may have unmapped its target before.
void ForgetIfGone(Residency& r, Range range) {
  unsigned char present[64];
  for (uintptr_t at = range.begin; at < range.end; at += sizeof(present) * kPageBytes) {
    const uint64_t left = range.end - at;
    const uint64_t bytes =
        left < sizeof(present) * kPageBytes ? left : sizeof(present) * kPageBytes;
    if (RawCall(SYS_mincore, AsLong(at), AsLong(bytes), AsLong(present)) != -ENOMEM) continue;
    r.Forget(range);
    return;
  }
}

bool TouchesPaged(const Residency& r, Range range) {
  const Mapping* at = r.mappings.FirstEndingPast(range.begin);
  for (; at != nullptr && at != r.mappings.end() && at->begin < range.end; ++at) {
    if (at->kind == Kind::kPaged) return true;
  }
  return false;
}

/// The mapping that ends at `old_end` now reaches to `new_end`.
void Extend(Residency& r, uintptr_t old_end, uintptr_t new_end) {
  const Mapping* last = r.mappings.Find(old_end - 1);
  if (last == nullptr) return;
  Mapping grown = *last;
  grown.begin = old_end;
  grown.end = new_end;
  grown.grows_down = false;
  r.mappings.Add(grown);
}

bool IsRegularFile(int fd) {
  struct stat status {};
  return RawCall(SYS_fstat, fd, AsLong(&status)) == 0 && S_ISREG(status.st_mode);
}

/// userfaultfd does not take private pages of files, and writable data is to be charged: anonymous
/// memory in their place.
bool ReplaceByAnonymous(Residency& r, Range range, int protection) {
  const long result =
      RawCall(SYS_mmap, AsLong(range.begin), AsLong(range.end - range.begin), protection,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  if (IsError(result)) return false;
  EPC_CHECK(r.user_fault.Register(range) == 0);
  return true;
}

/// Reads a file into new paged memory. False: it was not to be read; what is there goes.
bool FillFromFile(Residency& r, Range range, int fd, int64_t offset) {
  for (uintptr_t at = range.begin; at < range.end; at += kPageBytes) {
    if (r.FillFromFile(at, fd, offset + static_cast<int64_t>(at - range.begin))) continue;
    RawCall(SYS_munmap, AsLong(range.begin), AsLong(range.end - range.begin));
    r.Forget(range);
    return false;
  }
  return true;
}

bool HasPagesOfAFile(const Residency& r, Range range) {
  const Mapping* at = r.mappings.FirstEndingPast(range.begin);
  for (; at != nullptr && at != r.mappings.end() && at->begin < range.end; ++at) {
    if (at->from_file) return true;
  }
  return false;
}

/// Registers the paged mappings of `old` anew where a move has taken them, the last with what it
/// has grown by.
void RegisterMoved(Residency& r, Range old, Range moved) {
  for (uintptr_t at = old.begin; at < old.end;) {
    const Mapping* mapping = r.mappings.FirstEndingPast(at);
    if (mapping == nullptr || mapping->begin >= old.end) return;
    const uintptr_t begin = mapping->begin > at ? mapping->begin : at;
    at = mapping->end;
    Range piece{begin - old.begin + moved.begin, mapping->end - old.begin + moved.begin};
    if (mapping->end >= old.end || piece.end > moved.end) piece.end = moved.end;
    if (mapping->kind != Kind::kPaged || piece.begin >= piece.end) continue;
    if (r.user_fault.Register(piece) != 0) {
      Die(r.record, RunState::kRefused, "epcrun: memory that mremap moved cannot be registered");
    }
  }
}

/// Moves a mapping in the kernel. Where mremap(2) can join what it moves with a neighbour, it takes
/// both out of userfaultfd's hands, and a page of the neighbour that another thread touches before
/// it is registered again would come as zeros. So for the time of the move its pages get advice
/// that no neighbour has (Advise keeps it from the program's memory), which prevents joining.
long RemapApart(Residency& r, Range old, uint64_t old_length, uint64_t new_length, int flags,
                uintptr_t new_address) {
  const bool is_paged = old.begin < old.end && TouchesPaged(r, old);
  const auto advise = [](uintptr_t begin, uint64_t bytes, int advice) {
    RawCall(SYS_madvise, AsLong(begin), AsLong(bytes), advice);
  };
  const uint64_t old_bytes = old.end - old.begin;
  if (is_paged) advise(old.begin, old_bytes, MADV_RANDOM);
  const long result = RawCall(SYS_mremap, AsLong(old.begin), AsLong(old_length), AsLong(new_length),
                              flags, AsLong(new_address));
  if (!is_paged) return result;
  const bool old_stays = IsError(result) || (flags & MREMAP_DONTUNMAP) != 0;
  if (old_stays) advise(old.begin, old_bytes, MADV_NORMAL);
  if (IsError(result)) return result;
  // The kernel lets go of userfaultfd where it moves a mapping.
  const auto begin = static_cast<uintptr_t>(result);
  RegisterMoved(r, old, {begin, begin + PageUp(new_length)});
  advise(begin, PageUp(new_length), MADV_NORMAL);
  return result;
}

void NoteFlag(Residency& r, Range range, int advice) {
  r.mappings.Update(range, [advice](Mapping& mapping) {
    if (advice == MADV_WIPEONFORK) mapping.wiped_on_fork = true;
    if (advice == MADV_KEEPONFORK) mapping.wiped_on_fork = false;
    if (advice == MADV_DONTFORK) mapping.gone_on_fork = true;
    if (advice == MADV_DOFORK) mapping.gone_on_fork = false;
  });
}

}  // namespace

long Pager::Map(uintptr_t address, uint64_t length, int protection, int flags, int fd,
                int64_t offset) {
  Residency& r = *residency_;
  const LockHeld held(r.lock);
  const bool is_private = (flags & MAP_TYPE) == MAP_PRIVATE;
  const bool is_anonymous = is_private && (flags & MAP_ANONYMOUS) != 0;
  if ((is_anonymous && (flags & MAP_HUGETLB) != 0) || !r.mappings.HasRoom()) return -ENOMEM;
  // Populated pages would be present before they are charged, locked ones could not be evicted.
  const int kernel_flags = is_private ? flags & ~(MAP_POPULATE | MAP_LOCKED) : flags;
  const long result =
      RawCall(SYS_mmap, AsLong(address), AsLong(length), protection, kernel_flags, fd, offset);
  const bool is_fixed = (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == MAP_FIXED;
  if (IsError(result)) {
    if (is_fixed) ForgetIfGone(r, {PageDown(address), PageDown(address) + PageUp(length)});
    return result;
  }
  const auto begin = static_cast<uintptr_t>(result);
  const Range range{begin, begin + PageUp(length)};
  r.Forget(range);
  Mapping mapping{.begin = range.begin, .end = range.end, .protection = protection};
  mapping.grows_down = (flags & MAP_GROWSDOWN) != 0;
  // A private mapping of /dev/zero is anonymous too: the kernel knows.
  bool is_paged = is_private && r.user_fault.Register(range) == 0;
  if (is_anonymous && !is_paged) {
    RawCall(SYS_munmap, AsLong(range.begin), AsLong(range.end - range.begin));
    return -ENOMEM;
  }
  const bool is_writable_data = (protection & (PROT_WRITE | PROT_EXEC)) == PROT_WRITE;
  if (!is_paged && is_private && is_writable_data && IsRegularFile(fd)) {
    mapping.from_file = is_paged = ReplaceByAnonymous(r, range, protection);
  }
  if (!is_paged) mapping.kind = is_private && !is_writable_data ? Kind::kCode : Kind::kOutside;
  r.mappings.Add(mapping);
  if (mapping.from_file && !FillFromFile(r, range, fd, offset)) return -ENOMEM;
  r.Publish();
  return result;
}

long Pager::Unmap(uintptr_t address, uint64_t length) {
  Residency& r = *residency_;
  const LockHeld held(r.lock);
  if (!r.mappings.HasRoom()) return -ENOMEM;
  const long result = RawCall(SYS_munmap, AsLong(address), AsLong(length));
  if (IsError(result)) return result;
  r.Forget({address, address + PageUp(length)});
  r.Publish();
  return result;
}

long Pager::Remap(uintptr_t old_address, uint64_t old_length, uint64_t new_length, int flags,
                  uintptr_t new_address) {
  Residency& r = *residency_;
  const LockHeld held(r.lock);
  if (!r.mappings.HasRoom()) return -ENOMEM;
  const uint64_t old_bytes = PageUp(old_length);
  const uint64_t new_bytes = PageUp(new_length);
  const Range old{old_address, old_address + old_bytes};
  const long result = RemapApart(r, old, old_length, new_length, flags, new_address);
  if (IsError(result)) {
    if ((flags & MREMAP_FIXED) != 0) ForgetIfGone(r, {new_address, new_address + new_bytes});
    return result;
  }
  const auto begin = static_cast<uintptr_t>(result);
  const uint64_t kept_bytes = old_bytes < new_bytes ? old_bytes : new_bytes;
  if (begin != old_address) {
    r.Forget({begin, begin + new_bytes});
    r.MovePages(old_address, kept_bytes, begin);
    r.mappings.CopyTo(old_address, kept_bytes, begin);
    if ((flags & MREMAP_DONTUNMAP) == 0 && old_bytes != 0) {
      r.Forget({old_address, old_address + old_bytes});
    }
  } else if (new_bytes < old_bytes) {
    r.Forget({begin + new_bytes, begin + old_bytes});
  }
  if (new_bytes > old_bytes && old_bytes != 0) Extend(r, begin + old_bytes, begin + new_bytes);
  r.Publish();
  return result;
}

long Pager::Protect(uintptr_t address, uint64_t length, int protection, int key) {
  Residency& r = *residency_;
  const LockHeld held(r.lock);
  if (!r.mappings.HasRoom()) return -ENOMEM;
  const long result =
      key < 0 ? RawCall(SYS_mprotect, AsLong(address), AsLong(length), protection)
              : RawCall(SYS_pkey_mprotect, AsLong(address), AsLong(length), protection, key);
  // These two come half way through; others before anything is done.
  if (IsError(result) && result != -ENOMEM && result != -EACCES) return result;
  r.mappings.Update({address, address + PageUp(length)}, [&](Mapping& mapping) {
    if (IsError(result)) {
      mapping.protection_unknown = true;
      return;
    }
    mapping.protection = protection & (PROT_READ | PROT_WRITE | PROT_EXEC);
    mapping.protection_unknown = false;
    if (key >= 0) mapping.has_key = key != 0;
  });
  return result;
}

long Pager::Advise(uintptr_t address, uint64_t length, int advice) {
  Residency& r = *residency_;
  const LockHeld held(r.lock);
  const Range range{address, address + PageUp(length)};
  const bool is_paged = TouchesPaged(r, range);
  switch (advice) {
    case MADV_POPULATE_READ:
    case MADV_POPULATE_WRITE:
    case MADV_HUGEPAGE:
    case MADV_NOHUGEPAGE:
    case MADV_COLLAPSE:
    case MADV_MERGEABLE:
    case MADV_COLD:
    case MADV_PAGEOUT:
    case MADV_WILLNEED:
    case MADV_NORMAL:
    case MADV_RANDOM:
    case MADV_SEQUENTIAL:
      // Pages of an EPC are 4 KiB, and come and go by its own policy.
      if (is_paged) return 0;
      break;
    case MADV_FREE:
      // The kernel may drop such pages at any later time: at once is one of them.
      if (is_paged) advice = MADV_DONTNEED;
      break;
    case MADV_DONTNEED:
    case MADV_DONTNEED_LOCKED:
      // A file's pages would be read anew: they stay as they are.
      if (HasPagesOfAFile(r, range)) return 0;
      break;
    default:
      break;
  }
  if (!r.mappings.HasRoom()) return -ENOMEM;
  const long result = RawCall(SYS_madvise, AsLong(address), AsLong(length), advice);
  const bool drops = advice == MADV_DONTNEED || advice == MADV_DONTNEED_LOCKED ||
                     advice == CORACLE_MADV_GUARD_INSTALL;
  // -ENOMEM: there was a hole; the rest is done.
  if (drops && (result == 0 || result == -ENOMEM)) r.DropPages(range);
  if (result == 0) NoteFlag(r, range, advice);
  if (drops) r.Publish();
  return result;
}

long Pager::Break(uintptr_t address) {
  Residency& r = *residency_;
  const LockHeld held(r.lock);
  const uintptr_t before = r.program_break;
  if (!r.mappings.HasRoom()) return AsLong(before);
  const auto now = static_cast<uintptr_t>(RawCall(SYS_brk, AsLong(address)));
  r.program_break = now;
  if (PageUp(now) < PageUp(before)) {
    r.Forget({PageUp(now), PageUp(before)});
  } else if (PageUp(now) > PageUp(before)) {
    Mapping mapping{.begin = PageUp(before), .end = PageUp(now)};
    mapping.protection = PROT_READ | PROT_WRITE;
    if (r.user_fault.Register({mapping.begin, mapping.end}) != 0) {
      r.program_break = static_cast<uintptr_t>(RawCall(SYS_brk, AsLong(before)));
    } else {
      r.mappings.Add(mapping);
    }
  }
  r.Publish();
  return AsLong(r.program_break);
}

}  // namespace coracle::epc
