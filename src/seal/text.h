// What may stand in a manifest's strings: they end up in terminals, logs and JSON.
#pragma once

#include <string_view>

namespace coracle::seal {

/// Well-formed UTF-8 (Unicode 15, table 3-7: no surrogates, no overlong forms) without control
/// characters other than tab.
bool IsPrintableUtf8(std::string_view text);

}  // namespace coracle::seal
