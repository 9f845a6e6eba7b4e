// MemoryMap: what lies where in a traced program, followed from its memory calls.
//
// A mapping is what one call made (or what was there at the start); later calls cut pieces off it,
// move them and put others in their place, but its number stays, so that what is known of it can be
// kept by number. The heap of brk is one mapping that grows.
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/index.h"

namespace coracle::characterize {

enum class MemoryKind : uint8_t {
  kHeap,         ///< brk
  kAnonymous,    ///< private anonymous mappings: allocators' large blocks, arenas
  kStack,        ///< of the first thread and of those mapped as stacks
  kProgramData,  ///< writable data of the program and its libraries
  kFile,         ///< code, constants and mapped files that are not written
  kShared,       ///< shared memory
  kWeights,      ///< opened weights, as the program says (base/trace_note.h)
  kActivations,  ///< tensors between layers, as it says
  kWorkspace,    ///< scratch memory of a layer, as it says
  kUnknown
};
inline constexpr size_t kMemoryKindCount = 10;
/// "heap", "anonymous", ... as in JSON.
std::string_view MemoryKindName(MemoryKind kind);

enum class MappingIndex : uint32_t {};

struct Mapping {
  MemoryKind kind = MemoryKind::kUnknown;
  bool anonymous = true;
  uint64_t begin = 0;   ///< where it was made
  uint64_t bytes = 0;   ///< when it was made; the heap: at its largest
  std::string name;     ///< its file; empty: none
  bool filled = false;  ///< epcrun reads all of it when it is made: TraceAnalysis::Begin
  /// Of `begin` in its file.
  uint64_t file_offset = 0;
};

class MemoryMap {
 public:
  /// Further mappings share the last number.
  static constexpr size_t kMappingsMax = 1 << 16;

  MemoryMap();

  /// A part of the address space that belongs to one mapping.
  struct Piece {
    uint64_t begin = 0;
    uint64_t end = 0;
    MappingIndex mapping = {};
  };

  /// A new mapping, in place of what is there.
  void Add(Mapping mapping);
  /// Takes what is in [begin, end) out.
  void Remove(uint64_t begin, uint64_t end);
  /// mremap: the pieces of [from, from + from_bytes) go to `to`; the last one grows or is cut, so
  /// that the whole has `to_bytes`.
  void Move(uint64_t from, uint64_t from_bytes, uint64_t to, uint64_t to_bytes);
  /// The program break is at `address`. The first call says where the heap begins.
  void SetBreak(uint64_t address);
  /// Where the heap ends; nothing before the first SetBreak.
  std::optional<uint64_t> program_break() const { return break_; }

  /// What `address` lies in, or null.
  const Piece* Find(uint64_t address) const;
  const Mapping& mapping(MappingIndex index) const { return mappings_[Position(index)]; }
  const std::vector<Mapping>& mappings() const { return mappings_; }
  /// The mapping of addresses that nothing is known of.
  static constexpr MappingIndex kUnknownMapping = MappingIndex{0};

 private:
  MappingIndex Number(Mapping mapping);
  void Put(Piece piece);

  std::vector<Mapping> mappings_;
  std::map<uint64_t, Piece> pieces_;  ///< by begin; apart from one another
  std::optional<uint64_t> break_;
  uint64_t heap_begin_ = 0;
  MappingIndex heap_ = NoIndex<MappingIndex>();
};

/// What was mapped at the start, from the text of /proc/PID/maps: files by what they may be used
/// for, anonymous memory that follows a writable file mapping as its data (.bss), other anonymous
/// memory as stacks. Lines that cannot be read are left out.
std::vector<Mapping> ParseProcMaps(std::string_view text);

}  // namespace coracle::characterize
