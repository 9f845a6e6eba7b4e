// AccessDigests as JSON: the key "digests" of the findings of a run that is to be compared.
#pragma once

#include <string_view>

#include "characterize/analysis/findings.h"
#include "characterize/digests/access_digests.h"

namespace coracle::characterize {

/// "data_pages", "data_lines", "code_pages", "code_lines", "code_blocks".
std::string_view AddressStreamName(AddressStream stream);

/// {"marks_seen": bool,
///  "threads": [{"thread": number, STREAM: {"digest": 32 hexadecimal digits, "items": count},
///  ...}], "system_calls": [{"name", "calls"}], "instructions": [[address, order of its first run,
///  accesses, digest of lines, of pages]], "blocks": [[address, address of its jump, that one's
///  order, runs, digest of what ran next]], "files": [[begin, end, offset in the file, path]]:
///  where addresses of code lie}
/// `maps`: the text of /proc/PID/maps.
Json DigestsJson(const AccessDigests& digests, std::string_view maps);

}  // namespace coracle::characterize
