// What a JPEG's Huffman tables must satisfy before stb_image may see the file.
#pragma once

#include <string_view>

#include "base/result.h"
#include "vision/stb.h"

namespace coracle::vision {

/// Walks a JPEG's segments as stb_image 2.27 does, and refuses tables of more than 256 codes (which
/// it would write past the end of its own) and scans whose tables were never defined (whose memory
/// it would read anyway). Requires: `read` starts with FF D8. Errors: kMalformed.
Status CheckJpegTables(const StbRead& read, std::string_view name);

}  // namespace coracle::vision
