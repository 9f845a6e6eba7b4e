// How a function is called in a table: its symbol, readable and short.
#pragma once

#include <string>

namespace coracle::characterize {

/// Names that are longer lose their template arguments, then their end.
inline constexpr size_t kFunctionNameCharactersMax = 80;

/// C++ symbols without what their functions return and take: "ns::Class::Method". Others as they
/// are.
std::string ReadableFunctionName(const std::string& symbol);

}  // namespace coracle::characterize
