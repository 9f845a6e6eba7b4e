// The memory that the process has when the library starts, from /proc/self/maps.
#pragma once

#include <cstdint>
#include <string_view>

#include "emulator/pager/pager.h"

namespace coracle::epc {

/// One line of /proc/self/maps (proc(5)).
struct MappedRegion {
  Range range;
  int protection = 0;
  bool shared = false;
  bool of_file = false;
  std::string_view name;  ///< a path, "[heap]", "[stack]", ... or nothing

  /// Neither of a file, nor shared, nor the kernel's own ([vdso], [vvar], [vsyscall]).
  bool is_anonymous() const;
  bool is_stack() const { return name == "[stack]"; }
  bool is_kernels() const;
};

/// The lines as they are at one moment. Its own memory is shared anonymous memory, which no other
/// mapping of the process merges with, and is in no line.
class MemoryMap {
 public:
  /// Reads the file. Check ok().
  MemoryMap();
  ~MemoryMap();
  MemoryMap(const MemoryMap&) = delete;
  MemoryMap& operator=(const MemoryMap&) = delete;

  bool ok() const { return text_bytes_ > 0; }
  /// Takes lines off the front. False: there are no more.
  bool Next(MappedRegion& region);

 private:
  static constexpr uint64_t kTextBytesMax = 8 << 20;
  char* text_ = nullptr;
  uint64_t text_bytes_ = 0;
  uint64_t at_ = 0;
};

}  // namespace coracle::epc
