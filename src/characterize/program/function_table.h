// FunctionTable: the functions that instructions belong to and the paths of calls that allocated,
// numbered as they are met.
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "characterize/program/elf_file.h"
#include "characterize/program/memory_map.h"
#include "characterize/program/trace_names.h"

namespace coracle::characterize {

class FunctionTable {
 public:
  /// Further functions are not told apart: they are number 0.
  static constexpr size_t kFunctionsMax = 1 << 16;
  static constexpr size_t kPathsMax = 1 << 16;
  static constexpr size_t kPathFramesMax = 6;

  FunctionTable();

  /// Of the code at `address`, which lies in `mapping`.
  FunctionIndex Find(const Mapping& mapping, uint64_t address);
  /// The code at `address`, which lies in `mapping`, is of a function of this name, if its file has
  /// no symbol for it.
  void SetName(const Mapping& mapping, uint64_t address, const std::string& name);
  /// The path through these functions, innermost first; allocation functions that it begins with
  /// (operator new) say nothing and are left out.
  CallPathIndex PathOf(std::span<const FunctionIndex> functions);

  const TraceNames& names() const { return names_; }

 private:
  struct File {
    ElfFile elf;
    std::unordered_map<uint64_t, FunctionIndex> functions;  ///< by where they begin
  };
  File& FileOf(const std::string& path);
  bool IsAllocation(FunctionIndex function) const;

  std::unordered_map<std::string, File> files_;
  std::map<std::vector<FunctionIndex>, CallPathIndex> paths_;
  TraceNames names_;
};

}  // namespace coracle::characterize
