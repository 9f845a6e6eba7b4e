#include "cmd/support/working_set.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include "host/posix/file_descriptor.h"

namespace coracle::cmd {
namespace {

/// A page that a processor has at hand is not marked again when it is touched, and clearing marks
/// leaves what processors have at hand as it is. Unmapping more pages than the kernel takes back
/// one by one (33) makes all of them forget everything. Shared pages: they are not counted, and
/// touching them takes no secure memory from anybody.
void ForgetTranslations() {
  constexpr size_t kBytes = size_t{64} * 4096;
  void* const pages =
      ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return;
  std::memset(pages, 1, kBytes);
  ::munmap(pages, kBytes);
}

bool ClearReferencedBits() {
  const host::FileDescriptor file(::open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC));
  // 1: of all pages. Soft-dirty bits, if anybody uses them, stay.
  return file.open() && ::write(file.number(), "1", 1) == 1;
}

/// One mapping of /proc/self/smaps as it is read.
struct Mapping {
  bool is_private = false;
  bool is_writable = false;
  bool of_file = false;
  uint64_t size_kib = 0;
  uint64_t referenced_kib = 0;
  uint64_t anonymous_kib = 0;

  /// "ADDRESSES rwxp OFFSET DEVICE INODE   PATH"; inode 0: no file.
  static std::optional<Mapping> Parse(const char* line) {
    std::array<char, 5> permissions{};
    unsigned long long inode = 0;
    if (std::sscanf(line, "%*x-%*x %4s %*x %*x:%*x %llu", permissions.data(), &inode) != 2)
      return {};
    return Mapping{.is_private = permissions[3] == 'p',
                   .is_writable = permissions[1] == 'w',
                   .of_file = inode != 0};
  }
  uint64_t Charged() const {
    if (!is_private) return 0;
    if (!of_file) return 1024 * referenced_kib;
    return 1024 * (is_writable ? size_kib : anonymous_kib);
  }
};

/// PosixMemory keeps what it reserves out of core dumps ("dd"), and nobody else does; but for keys
/// ("wf": wiped on fork), which no budget covers.
bool IsPool(std::string_view flags) {
  return flags.find(" dd") != std::string_view::npos && flags.find(" wf") == std::string_view::npos;
}

uint64_t RestOfLastPage(uint64_t bytes) {
  const auto page_bytes = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return (page_bytes - bytes % page_bytes) % page_bytes;
}

}  // namespace

WorkingSet::WorkingSet() : cleared_(ClearReferencedBits()) { ForgetTranslations(); }

std::optional<uint64_t> WorkingSet::Bytes(uint64_t pool_bytes) const {
  const std::unique_ptr<FILE, int (*)(FILE*)> smaps(std::fopen("/proc/self/smaps", "r"),
                                                    &std::fclose);
  if (!cleared_ || smaps == nullptr) return std::nullopt;
  std::array<char, 4096 + 256> line{};
  uint64_t bytes = RestOfLastPage(pool_bytes) + kOtherRunsBytes;
  Mapping mapping;
  while (std::fgets(line.data(), line.size(), smaps.get()) != nullptr) {
    const std::string_view text(line.data());
    const auto kib = [&line](std::string_view key) {
      return std::strtoull(line.data() + key.size(), nullptr, 10);
    };
    if (text.starts_with("Size:")) {
      mapping.size_kib = kib("Size:");
    } else if (text.starts_with("Referenced:")) {
      mapping.referenced_kib = kib("Referenced:");
    } else if (text.starts_with("Anonymous:")) {
      mapping.anonymous_kib = kib("Anonymous:");
    } else if (text.starts_with("VmFlags:")) {  // the last of a mapping's lines
      if (!IsPool(text)) bytes += mapping.Charged();
    } else if (const std::optional<Mapping> next = Mapping::Parse(line.data()); next.has_value()) {
      mapping = *next;
    }
  }
  return bytes;
}

}  // namespace coracle::cmd
