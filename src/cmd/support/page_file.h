// Writing a page that a verb was asked for (--report).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace coracle::cmd {

/// The file is there whole or as it was. Errors: kPermissionDenied, kNotFound, kUnavailable.
Status WritePage(const std::string& path, std::string_view page);

}  // namespace coracle::cmd
