#include "characterize/digests/access_digests.h"

#include <sys/syscall.h>

#include "base/epc_mark.h"

namespace coracle::characterize {
namespace {

/// Threads are summed up, each as itself: what they did at the same time has no order.
uint64_t OfThread(uint64_t digest, size_t thread) { return MixAddress(digest, thread + 1); }

}  // namespace

AccessDigests::AccessDigests(std::optional<uint64_t> from_mark, std::optional<uint64_t> to_mark)
    : from_mark_(from_mark),
      to_mark_(to_mark),
      stage_(from_mark.has_value() ? Stage::kBefore : Stage::kCounting) {}

const AccessDigests::Block* AccessDigests::TranslatedBlock(uint64_t address, uint64_t bytes,
                                                           uint64_t last_instruction) {
  const auto [at, is_new] = block_at_.try_emplace({address, bytes}, nullptr);
  if (is_new) {
    blocks_.push_back({address, bytes, last_instruction, static_cast<uint32_t>(blocks_.size())});
    at->second = &blocks_.back();
  }
  return at->second;
}

uint32_t AccessDigests::TranslatedInstruction(uint64_t address) {
  const auto number = static_cast<uint32_t>(instructions_.size());
  const auto [at, is_new] = instruction_at_.try_emplace(address, number);
  if (is_new) instructions_.push_back(address);
  return at->second;
}

void AccessDigests::OnThreadStart(unsigned thread) {
  if (thread < kThreadsMax && threads_[thread] == nullptr) {
    threads_[thread] = std::make_unique<Thread>();
  }
}

void AccessDigests::OnSystemCall(unsigned thread, int64_t number, uint64_t first, uint64_t second) {
  if (number == SYS_prctl && first == uint64_t{kEpcMarkCall}) {
    // Not relaxed, so that each thread's own counts are whole; once in one direction.
    Stage expected = Stage::kBefore;
    if (from_mark_ == second) stage_.compare_exchange_strong(expected, Stage::kCounting);
    expected = Stage::kCounting;
    if (to_mark_ == second) stage_.compare_exchange_strong(expected, Stage::kAfter);
    return;
  }
  if (Counts(thread)) ++threads_[thread]->calls[number];
}

bool AccessDigests::marks_seen() const {
  return stage_ == (to_mark_.has_value() ? Stage::kAfter : Stage::kCounting);
}

const AccessDigests::Streams* AccessDigests::StreamsOf(unsigned thread) const {
  if (thread >= kThreadsMax || threads_[thread] == nullptr) return nullptr;
  return &threads_[thread]->streams;
}

std::map<int64_t, uint64_t> AccessDigests::SystemCalls() const {
  std::map<int64_t, uint64_t> all;
  for (const auto& thread : threads_) {
    if (thread == nullptr) continue;
    for (const auto& [number, calls] : thread->calls) all[number] += calls;
  }
  return all;
}

std::vector<AccessDigests::Instruction> AccessDigests::Instructions() const {
  std::vector<Instruction> all;
  for (size_t i = 0; i < instructions_.size(); ++i) {
    Instruction sum{instructions_[i], static_cast<uint32_t>(i)};
    for (size_t t = 0; t < kThreadsMax; ++t) {
      if (threads_[t] == nullptr || i >= threads_[t]->instructions.size()) continue;
      const InstructionState& state = threads_[t]->instructions[i];
      if (state.accesses == 0) continue;
      sum.accesses += state.accesses;
      sum.lines += OfThread(state.lines, t);
      sum.pages += OfThread(state.pages, t);
    }
    if (sum.accesses != 0) all.push_back(sum);
  }
  return all;
}

std::vector<AccessDigests::BlockRuns> AccessDigests::Blocks() const {
  std::vector<BlockRuns> all;
  for (const Block& block : blocks_) {
    const auto jump = instruction_at_.find(block.last_instruction);
    const uint32_t number = jump == instruction_at_.end() ? UINT32_MAX : jump->second;
    BlockRuns sum{block.address, block.last_instruction, number};
    for (size_t t = 0; t < kThreadsMax; ++t) {
      if (threads_[t] == nullptr || block.number >= threads_[t]->blocks.size()) continue;
      const BlockState& state = threads_[t]->blocks[block.number];
      if (state.runs == 0) continue;
      sum.runs += state.runs;
      sum.followers += OfThread(state.followers, t);
    }
    if (sum.runs != 0) all.push_back(sum);
  }
  return all;
}

}  // namespace coracle::characterize
