// Reads and writes memory of the program without trusting its addresses: a wrong one is the
// program's error (EFAULT), not ours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace coracle::epc {

/// Reads memory of the program whose pages are held, without trusting the address: false if some
/// byte is in no readable mapping.
bool PeekProgram(uintptr_t address, std::span<std::byte> to);
/// The same for writing.
bool PokeProgram(uintptr_t address, std::span<const std::byte> from);

template <typename T>
bool PeekValue(uintptr_t address, T& value) {
  return PeekProgram(address, std::as_writable_bytes(std::span(&value, 1)));
}
template <typename T>
bool PokeValue(uintptr_t address, const T& value) {
  return PokeProgram(address, std::as_bytes(std::span(&value, 1)));
}

}  // namespace coracle::epc
