// CodeNames: which function an instruction of a traced program belongs to, looked up after the run
// in the file that its address lay in. Files are read as they are now.
// Threads: one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "characterize/program/elf_file.h"

namespace coracle::characterize {

struct CodePlace {
  std::string function;  ///< "+0x1234" in the file where no symbol says; empty: no file
  std::string file;      ///< path; empty: no file
  uint64_t offset = 0;   ///< in the file; without a file: in memory
};

class CodeNames {
 public:
  struct Piece {
    uint64_t begin = 0;
    uint64_t end = 0;
    uint64_t file_offset = 0;
    std::string path;
  };
  explicit CodeNames(std::vector<Piece> pieces) : pieces_(std::move(pieces)) {}

  CodePlace PlaceOf(uint64_t address);

 private:
  std::vector<Piece> pieces_;
  std::map<std::string, ElfFile> files_;  ///< read when they are first asked for
};

}  // namespace coracle::characterize
