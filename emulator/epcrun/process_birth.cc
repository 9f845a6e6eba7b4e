#include "emulator/epcrun/process_birth.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <string_view>

#include "emulator/epcrun/descriptor.h"

namespace coracle::epc {
namespace {

// proc(5), /proc/PID/stat: counted from 1; the name, field 2, is in parentheses and may hold
// spaces.
constexpr int kStateField = 3;
constexpr int kStartTimeField = 22;

}  // namespace

uint64_t BirthOf(pid_t pid) {
  const Descriptor file(open(fmt::format("/proc/{}/stat", pid).c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 1024> buffer = {};
  const ssize_t got = file.valid() ? read(file.get(), buffer.data(), buffer.size()) : -1;
  if (got <= 0) return 0;
  std::string_view text(buffer.data(), static_cast<size_t>(got));
  const size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos || name_end + 2 > text.size()) return 0;
  text.remove_prefix(name_end + 2);
  const bool ended = text.starts_with('Z') || text.starts_with('X');
  for (int field = kStateField; field < kStartTimeField; ++field) {
    const size_t space = text.find(' ');
    if (space == std::string_view::npos) return 0;
    text.remove_prefix(space + 1);
  }
  uint64_t birth = 0;
  std::from_chars(text.data(), text.data() + text.size(), birth);
  return ended ? 0 : birth;
}

}  // namespace coracle::epc
