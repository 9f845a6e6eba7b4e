// The pager's system calls without libc, with arguments of any integer or pointer type.
#pragma once

#include <cstddef>
#include <type_traits>

#include "emulator/pager/raw_syscall.h"

namespace coracle::epc {

template <typename T>
[[gnu::always_inline]] inline long AsArgument(T value) {
  if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<long>(value);
  } else if constexpr (std::is_null_pointer_v<T>) {
    return 0;
  } else {
    return static_cast<long>(value);
  }
}

/// The kernel's answer; -4095..-1 is a negative errno.
template <typename... Arguments>
[[gnu::always_inline]] inline long AskKernel(long number, Arguments... arguments) {
  return RawCall(number, AsArgument(arguments)...);
}

}  // namespace coracle::epc
