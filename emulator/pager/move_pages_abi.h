// UFFDIO_MOVE as Linux 6.8 has it (linux/userfaultfd.h); Debian 12's headers are of 6.1.
#pragma once

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include <cstdint>

namespace coracle::epc {

inline constexpr uint64_t kFeatureMove = uint64_t{1} << 16;

struct MoveArguments {
  uint64_t dst;
  uint64_t src;
  uint64_t len;
  uint64_t mode;
  int64_t move;
};
inline constexpr unsigned long kMoveRequest = _IOWR(UFFDIO, 0x05, MoveArguments);

}  // namespace coracle::epc
