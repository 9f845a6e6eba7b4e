// Index types: `enum class TensorIndex : uint32_t {}` keeps an index of one table out of another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace coracle {

/// The position that a strong index stands for.
template <typename E>
requires std::is_enum_v<E>
constexpr size_t Position(E index) {
  return static_cast<size_t>(static_cast<std::underlying_type_t<E>>(index));
}

/// The value that means "none" for a strong index.
template <typename E>
requires std::is_enum_v<E>
constexpr E NoIndex() {
  return static_cast<E>(std::numeric_limits<std::underlying_type_t<E>>::max());
}

}  // namespace coracle
