#include "cmd/support/process_memory.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include "host/posix/outside_memory.h"

namespace coracle::cmd {

uint64_t SecureResidentBytes(const std::string& ciphertext_path) {
  const std::unique_ptr<FILE, int (*)(FILE*)> smaps(std::fopen("/proc/self/smaps", "r"),
                                                    &std::fclose);
  if (smaps == nullptr) return 0;
  std::array<char, 4096 + 256> line{};
  uint64_t resident_kib = 0;
  bool outside = false;
  while (std::fgets(line.data(), line.size(), smaps.get()) != nullptr) {
    std::string_view text(line.data());
    if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
    const bool starts_mapping = text.find('-') < text.find(' ') && text.find(':') > text.find(' ');
    if (starts_mapping) {
      outside = (!ciphertext_path.empty() && text.ends_with(ciphertext_path)) ||
                text.find(host::kOutsideMemoryName) != std::string_view::npos;
    } else if (text.starts_with("Rss:") && !outside) {
      resident_kib += std::strtoull(line.data() + std::strlen("Rss:"), nullptr, 10);
    }
  }
  return resident_kib * 1024;
}

}  // namespace coracle::cmd
