// What an allocation is called: its role in a model where that is known (findings: "role",
// "layer"), else the functions that asked for it and used it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "characterize/analysis/findings.h"

namespace coracle::characterize {

/// The innermost function of `path` (findings: "objects", "call_paths") that is the program's own:
/// not an allocator, and not the C++ library's. "an unknown function" if there is none.
std::string AllocatingFunction(const Json& path);

/// That function and those that called it, innermost first, as many as `width` characters hold:
/// "make_image < load_image".
std::string ShortPath(const Json& path, size_t width);

/// `name` in at most `width` characters: without its parameters, then cut.
std::string ShortFunction(const std::string& name, size_t width);

/// The function of findings.objects[i].writers or .readers that moved most bytes, short; empty:
/// none is known.
std::string MainUser(const Json& users);

/// "im2col workspace (largest: convolution 2, 3x3x64 at 224x224), 110 MiB", "buffer of
/// parse_network_cfg (written by im2col_cpu, read by gemm_nn), 110 MiB": what findings.objects at
/// these positions are called together.
std::string BuffersName(const Json& objects, const std::vector<size_t>& positions);

}  // namespace coracle::characterize
