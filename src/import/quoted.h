// Quoted: a name out of a model's file, made safe to print in a one-line message.
#pragma once

#include <string>
#include <string_view>

namespace coracle::import {

/// `'text'`, with control characters shown as '?', and cut after 100 bytes.
std::string Quoted(std::string_view text);

}  // namespace coracle::import
