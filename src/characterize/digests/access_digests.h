// AccessDigests: what a traced program touches and executes, as digests that another run of it can
// be compared with. For each thread one digest of each stream that somebody outside of an enclave
// may watch (AddressStream); for each instruction and each block of code how often it ran and what
// came of it, so that a difference is found again in the code.
//
// Bytes within a line are not told apart, and what the kernel touches in the program's stead is
// left out: its calls are visible anyway, and are counted by number.
// Threads: OnBlock, OnAccess and OnSystemCall by the thread that they say; Translated... one at a
// time (QEMU holds its translation lock); the findings when no thread runs any more.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "characterize/analysis/thread_recorder.h"
#include "characterize/digests/address_digest.h"
#include "characterize/program/access_run.h"

namespace coracle::characterize {

/// What can be watched, from coarse to fine. Accesses and blocks are all in order.
enum class AddressStream : uint8_t {
  kDataPages,  ///< each change to another page, and the first write there: faults, accessed bits
  kDataLines,  ///< the line of each access and whether it writes: caches, the memory bus
  kCodePages,  ///< each change to another page of code
  kCodeLines,  ///< each change to another line of code
  kCodeBlocks  ///< each block (instructions up to the next jump): branch predictors, time
};
inline constexpr size_t kAddressStreamCount = 5;

class AccessDigests {
 public:
  /// Threads at one time that are followed.
  static constexpr size_t kThreadsMax = 1024;

  /// Marks as in TracerOrders: what lies between them is digested.
  AccessDigests(std::optional<uint64_t> from_mark, std::optional<uint64_t> to_mark);

  struct Block {
    uint64_t address = 0;
    uint64_t bytes = 0;
    uint64_t last_instruction = 0;  ///< its address: the jump
    uint32_t number = 0;            ///< of the block, in order of translation
  };

  /// Valid as long as this object. The same block each time that it is translated.
  const Block* TranslatedBlock(uint64_t address, uint64_t bytes, uint64_t last_instruction);
  /// The number of the instruction at `address`.
  uint32_t TranslatedInstruction(uint64_t address);

  void OnThreadStart(unsigned thread);
  void OnBlock(unsigned thread, const Block& block) {
    if (Counts(thread)) threads_[thread]->Enter(block);
  }
  void OnAccess(unsigned thread, uint32_t instruction, uint64_t address, uint32_t bytes,
                AccessKind kind) {
    if (Counts(thread)) threads_[thread]->Access(instruction, address, bytes, kind);
  }
  /// A call by its number; `first` and `second`: its arguments.
  void OnSystemCall(unsigned thread, int64_t number, uint64_t first, uint64_t second);

  // Findings.

  /// False: the marks that say where to begin and to end did not both come.
  bool marks_seen() const;

  using Streams = std::array<AddressDigest, kAddressStreamCount>;
  /// By thread; null: a thread that never was.
  const Streams* StreamsOf(unsigned thread) const;
  std::map<int64_t, uint64_t> SystemCalls() const;

  struct Instruction {
    uint64_t address = 0;
    uint32_t number = 0;  ///< in order of translation
    uint64_t accesses = 0;
    uint64_t lines = 0;  ///< digest of the lines that it touched, and whether it wrote them
    uint64_t pages = 0;  ///< digest of its changes of page
  };
  struct BlockRuns {
    uint64_t address = 0;
    uint64_t last_instruction = 0;
    uint32_t number = 0;  ///< of that instruction
    uint64_t runs = 0;
    uint64_t followers = 0;  ///< digest of the blocks that ran next
  };
  /// Those that ran, in order of translation (so of their first run), over all threads.
  std::vector<Instruction> Instructions() const;
  std::vector<BlockRuns> Blocks() const;

 private:
  static constexpr uint64_t kNowhere = UINT64_MAX;

  struct InstructionState {
    uint64_t accesses = 0;
    uint64_t lines = 0;
    uint64_t pages = 0;
    uint64_t page = kNowhere;  ///< that it touched last
  };
  struct BlockState {
    uint64_t runs = 0;
    uint64_t followers = 0;
  };

  class Thread {
   public:
    void Enter(const Block& block);
    void Access(uint32_t instruction, uint64_t address, uint32_t bytes, AccessKind kind);

    Streams streams;
    std::vector<InstructionState> instructions;  ///< by number
    std::vector<BlockState> blocks;              ///< by number
    std::map<int64_t, uint64_t> calls;

   private:
    AddressDigest& stream(AddressStream stream) { return streams[static_cast<size_t>(stream)]; }
    void Touch(InstructionState& by, uint64_t line, AccessKind kind);

    uint64_t page_ = kNowhere;
    bool page_written_ = false;
    uint64_t code_line_ = kNowhere;
    uint32_t block_ = UINT32_MAX;  ///< that is running
  };

  enum class Stage : uint8_t { kBefore, kCounting, kAfter };
  bool Counts(unsigned thread) const {
    return stage_.load(std::memory_order_relaxed) == Stage::kCounting && thread < kThreadsMax &&
           threads_[thread] != nullptr;
  }

  const std::optional<uint64_t> from_mark_;
  const std::optional<uint64_t> to_mark_;
  std::atomic<Stage> stage_;
  std::array<std::unique_ptr<Thread>, kThreadsMax> threads_;
  std::deque<Block> blocks_;
  std::map<std::pair<uint64_t, uint64_t>, const Block*> block_at_;  ///< by address and bytes
  std::vector<uint64_t> instructions_;                              ///< addresses, by number
  std::unordered_map<uint64_t, uint32_t> instruction_at_;
};

inline void AccessDigests::Thread::Enter(const Block& block) {
  stream(AddressStream::kCodeBlocks).Add(block.address);
  const uint64_t last = (block.address + block.bytes - 1) >> kLineShift;
  for (uint64_t line = block.address >> kLineShift; line <= last; ++line) {
    if (line == code_line_) continue;
    stream(AddressStream::kCodeLines).Add(line);
    constexpr uint32_t kShift = kPageShift - kLineShift;
    if (line >> kShift != code_line_ >> kShift) {
      stream(AddressStream::kCodePages).Add(line >> kShift);
    }
    code_line_ = line;
  }
  if (block_ != UINT32_MAX) {
    uint64_t& followers = blocks[block_].followers;
    followers = MixAddress(followers, block.address);
  }
  block_ = block.number;
  if (block_ >= blocks.size()) blocks.resize(block_ + size_t{block_} / 2 + 1024);
  ++blocks[block_].runs;
}

inline void AccessDigests::Thread::Access(uint32_t instruction, uint64_t address, uint32_t bytes,
                                          AccessKind kind) {
  if (instruction >= instructions.size()) {
    instructions.resize(instruction + size_t{instruction} / 2 + 1024);
  }
  InstructionState& by = instructions[instruction];
  ++by.accesses;
  const uint64_t last = (address + bytes - 1) >> kLineShift;
  for (uint64_t line = address >> kLineShift; line <= last; ++line) Touch(by, line, kind);
}

inline void AccessDigests::Thread::Touch(InstructionState& by, uint64_t line, AccessKind kind) {
  const uint64_t writes = kind == AccessKind::kWrite ? 1 : 0;
  const uint64_t touch = line << 1 | writes;
  stream(AddressStream::kDataLines).Add(touch);
  by.lines = MixAddress(by.lines, touch);
  const uint64_t page = line >> (kPageShift - kLineShift);
  if (page != page_ || (writes != 0 && !page_written_)) {
    stream(AddressStream::kDataPages).Add(page << 1 | writes);
    page_written_ = writes != 0;
    page_ = page;
  }
  if (page != by.page) {
    by.pages = MixAddress(by.pages, page);
    by.page = page;
  }
}

}  // namespace coracle::characterize
