#include "characterize/digests/code_names.h"

#include <fmt/format.h>

#include "characterize/program/function_name.h"

namespace coracle::characterize {

CodePlace CodeNames::PlaceOf(uint64_t address) {
  for (const Piece& piece : pieces_) {
    if (address < piece.begin || address >= piece.end) continue;
    auto file = files_.find(piece.path);
    if (file == files_.end()) file = files_.emplace(piece.path, ElfFile::Read(piece.path)).first;
    const uint64_t offset = address - piece.begin + piece.file_offset;
    const auto function = file->second.Find(offset);
    if (!function.has_value()) return {fmt::format("+{:#x}", offset), piece.path, offset};
    return {function->name.empty() ? fmt::format("+{:#x}", function->begin)
                                   : ReadableFunctionName(function->name),
            piece.path, offset};
  }
  return {"", "", address};
}

}  // namespace coracle::characterize
