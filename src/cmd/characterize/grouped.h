// Numbers for people.
#pragma once

#include <cstdint>
#include <string>

namespace coracle::cmd {

/// "1,234,567".
std::string Grouped(uint64_t number);

}  // namespace coracle::cmd
