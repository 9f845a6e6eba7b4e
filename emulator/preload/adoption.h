// Takes over the memory that the program has before its first instruction.
//
// What is charged. Anonymous private memory, the heap and the main stack: page by page, evictable.
// So are private mappings of files that are writable (.data of the program and its libraries) or
// that the loader wrote to before it made them read-only (relocated tables): userfaultfd does not
// take them, so anonymous memory with their contents takes their place. The page of the main
// thread's control block, which the kernel writes to on its own (rseq, tid word, robust list), is
// pinned. All else that is read-only, code above all, is counted and not charged; nor are this
// library's own segments: they are the emulator's.
#pragma once

#include "emulator/pager/pager.h"
#include "emulator/preload/memory_map.h"

namespace coracle::epc {

/// Charges all that `map` lists but what touches `own`. Runs on a stack that is not the program's.
void AdoptExisting(Pager& pager, MemoryMap& map, Range own);

}  // namespace coracle::epc
