#include "emulator/preload/memory_map.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "emulator/preload/raw_call.h"

namespace coracle::epc {
namespace {

/// Reads one line's fields from front to back.
class Fields {
 public:
  explicit Fields(std::string_view line) : rest_(line) {}

  uint64_t Hex() {
    uint64_t value = 0;
    for (; !rest_.empty(); rest_.remove_prefix(1)) {
      const char c = rest_.front();
      const bool digit = c >= '0' && c <= '9';
      if (!digit && (c < 'a' || c > 'f')) break;
      value = value * 16 + static_cast<uint64_t>(digit ? c - '0' : c - 'a' + 10);
    }
    return value;
  }
  char Character() {
    const char c = rest_.empty() ? '\0' : rest_.front();
    if (!rest_.empty()) rest_.remove_prefix(1);
    return c;
  }
  void SkipWord() {
    while (!rest_.empty() && rest_.front() != ' ') rest_.remove_prefix(1);
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

}  // namespace

bool MappedRegion::is_kernels() const {
  return name == "[vdso]" || name == "[vsyscall]" || name.substr(0, 5) == "[vvar";
}

bool MappedRegion::is_anonymous() const { return !shared && !of_file && !is_kernels(); }

MemoryMap::MemoryMap() {
  const long fd = AskKernel(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
  const long memory = AskKernel(SYS_mmap, nullptr, kTextBytesMax, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (fd < 0 || IsError(memory)) return;
  text_ = reinterpret_cast<char*>(memory);
  for (;;) {
    const long got = AskKernel(SYS_read, fd, text_ + text_bytes_, kTextBytesMax - text_bytes_);
    if (got <= 0) break;
    text_bytes_ += static_cast<uint64_t>(got);
  }
  AskKernel(SYS_close, fd);
}

MemoryMap::~MemoryMap() {
  if (text_ != nullptr) AskKernel(SYS_munmap, text_, kTextBytesMax);
}

bool MemoryMap::Next(MappedRegion& region) {
  while (at_ < text_bytes_) {
    uint64_t end = at_;
    while (end < text_bytes_ && text_[end] != '\n') ++end;
    Fields fields(std::string_view(text_ + at_, end - at_));
    at_ = end + 1;
    region = {};
    region.range.begin = fields.Hex();
    fields.Character();
    region.range.end = fields.Hex();
    fields.Character();
    if (fields.Character() == 'r') region.protection |= PROT_READ;
    if (fields.Character() == 'w') region.protection |= PROT_WRITE;
    if (fields.Character() == 'x') region.protection |= PROT_EXEC;
    region.shared = fields.Character() == 's';
    fields.SkipWord();  // permissions' end
    fields.SkipWord();  // offset
    fields.SkipWord();  // device
    region.of_file = fields.rest().substr(0, 2) != "0 " && fields.rest() != "0";
    fields.SkipWord();  // inode
    region.name = fields.rest();
    if (region.range.begin != reinterpret_cast<uintptr_t>(text_)) return true;
  }
  return false;
}

}  // namespace coracle::epc
