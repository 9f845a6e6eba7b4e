// TraceNames: what the numbers stand for that accesses and allocations carry.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace coracle::characterize {

/// A function of the program or its libraries. 0: none that is known.
enum class FunctionIndex : uint16_t {};
/// Where an allocation was asked for: the functions that were called, innermost first. 0: unknown.
enum class CallPathIndex : uint32_t {};

struct FunctionName {
  std::string name;  ///< of the symbol; without one, where it begins: "libc.so.6+0x1234"
  std::string file;  ///< without folders
};

struct TraceNames {
  std::vector<FunctionName> functions;               ///< by FunctionIndex
  std::vector<std::vector<std::string>> call_paths;  ///< by CallPathIndex
};

}  // namespace coracle::characterize
