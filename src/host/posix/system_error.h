// errno as one clear line.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace coracle::host {

/// "cannot VERB 'PATH': REASON". `error_number` is errno's value.
Error SystemError(std::string_view verb, std::string_view path, int error_number);

}  // namespace coracle::host
