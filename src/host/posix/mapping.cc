#include "host/posix/mapping.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/units.h"

namespace coracle::host {

namespace {

Result<std::span<std::byte>> Touched(void* base, uint64_t bytes, std::string_view what) {
  if (base == MAP_FAILED) {
    return Error{Code::kUnavailable, "the system refused " + FormatBytes(bytes) + " of " +
                                         std::string(what) + "; plan with a smaller --memory"};
  }
  const std::span<std::byte> pages(static_cast<std::byte*>(base), bytes);
  const auto page_bytes = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  for (size_t offset = 0; offset < pages.size(); offset += page_bytes) {
    *const_cast<volatile std::byte*>(&pages[offset]) = std::byte{0};
  }
  return pages;
}

}  // namespace

Result<std::span<std::byte>> MapPages(uint64_t bytes, std::string_view what) {
  return Touched(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
                 bytes, what);
}

Result<std::span<std::byte>> MapSharedPages(uint64_t bytes, const char* name,
                                            std::string_view what) {
  const int file = ::memfd_create(name, MFD_CLOEXEC);
  if (file < 0) return MapPages(bytes, what);
  void* base = MAP_FAILED;
  if (::ftruncate(file, static_cast<off_t>(bytes)) == 0) {
    base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  }
  ::close(file);
  return Touched(base, bytes, what);
}

void UnmapPages(std::span<std::byte> pages) { ::munmap(pages.data(), pages.size()); }

}  // namespace coracle::host
