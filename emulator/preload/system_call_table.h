// What each system call of x86-64 Linux does with the program's memory, as data.
//
// Under the pager the kernel cannot fetch a page that is away (its access fails with EFAULT), so
// whatever a call hands to it is made present and held while the call runs. Whether the kernel
// reads or writes there makes no difference. Sources: the man pages of section 2 and the kernel's
// include/linux/syscalls.h; struct sizes are those of x86-64.
#pragma once

#include <cstdint>

namespace coracle::epc {

/// How one argument leads to memory.
enum class Reach : uint8_t {
  kNone,      ///< a number
  kFixed,     ///< `bytes` bytes
  kOf,        ///< as many bytes as argument `other` says, and `bytes` more
  kItems,     ///< argument `other` times `bytes` bytes
  kLengthAt,  ///< argument `other` points to a socklen_t: so many bytes
  kPages,     ///< a byte for each page of a range of argument `other` bytes
  kBits,      ///< a bit set of argument `other` bits, in longs
  kString,    ///< ends with zero, at most PATH_MAX bytes
  kVectors,   ///< argument `other` struct iovec, and what they point to
  kMessage,   ///< struct msghdr and all that it points to
  kMessages,  ///< argument `other` struct mmsghdr and all that they point to
  kSet,       ///< a set of signals, passed as a copy without SIGBUS and SIGSYS
  kMask,      ///< the same, and it is the signal mask while the call waits
  kMaskAt,    ///< pselect6's pair of a pointer to a signal set and its size
  kProgram,   ///< struct sock_fprog and the filter that it points to
  kUnknown    ///< perhaps an address: up to a page's bytes from there
};

struct Argument {
  Reach reach = Reach::kNone;
  uint8_t other = 0;
  uint16_t bytes = 0;
};

/// What is done with the call as a whole.
enum class Treatment : uint8_t {
  kPerform,    ///< held, performed with the program's signal mask in force, released
  kQuick,      ///< the same with all signals still blocked: it cannot wait
  kIn,         ///< may fill a large buffer: arguments (fd, buffer, bytes, ...), in pieces
  kOut,        ///< may drain a large buffer: the same
  kShorten,    ///< fills a buffer, may always give less than asked for: (fd or buffer, ...)
  kVectorsIn,  ///< (fd, iovec, count, ...), in pieces
  kVectorsOut,
  kNothing,  ///< answered 0: the pager decides what stays in memory
  kRefuse,   ///< ENOSYS: its kernel side would touch pages long after the call
  kSpecial   ///< this library knows it by number (special_calls.cc)
};

struct SystemCall {
  int16_t number = -1;
  const char* name = nullptr;
  Treatment treatment = Treatment::kPerform;
  Argument arguments[6] = {};
};

inline constexpr int kSystemCallsMax = 512;

/// The call's entry. Null: not in the table (a call that is newer than it).
const SystemCall* FindSystemCall(long number);

}  // namespace coracle::epc
