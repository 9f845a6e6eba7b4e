#include "characterize/reuse/reuse_stack.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace coracle::characterize {
namespace {

constexpr uint32_t kTimesLeast = 4096;
constexpr uint32_t kTimesMost = uint32_t{1} << 31;

/// How many bits each byte of `word` has. (A population count without the instruction for it, which
/// not every x86-64 has: Warren, Hacker's Delight, 5-1.)
constexpr uint64_t BitsByByte(uint64_t word) {
  word -= word >> 1 & 0x5555555555555555u;
  word = (word & 0x3333333333333333u) + (word >> 2 & 0x3333333333333333u);
  return (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu;
}

/// Their sum, where no two bytes together have more than 255.
constexpr uint32_t SumOfBytes(uint64_t bytes) {
  constexpr uint64_t kEven = 0x00ff00ff00ff00ffu;
  bytes = (bytes & kEven) + (bytes >> 8 & kEven);
  return static_cast<uint32_t>(bytes * 0x0001000100010001u >> 48);
}

}  // namespace

ReuseStack::ReuseStack()
    : id_at_(kTimesLeast), bits_(kTimesLeast / 64), block_sum_(kTimesLeast / kBlockBits + 1) {}

uint64_t ReuseStack::TouchInFront(uint32_t id) {
  uint32_t at = 1;
  while (front_[at] != id) ++at;
  for (uint32_t i = at; i > 0; --i) front_[i] = front_[i - 1];
  front_[0] = id;
  return at;
}

uint64_t ReuseStack::TouchBelow(uint32_t id) {
  if (id >= place_.size()) place_.resize(size_t{id} + id / 2 + 64, kAbsent);
  const uint32_t place = place_[id];
  if (place == kInFront) return TouchInFront(id);
  uint64_t distance = kCold;
  if (place != kAbsent) {
    const uint32_t time = place - kFirstTime;
    distance = front_count_ + CountAfter(time);
    Clear(time);
  }
  PushFront(id);
  return distance;
}

void ReuseStack::PushFront(uint32_t id) {
  if (front_count_ == kFront) {
    Append(front_[kFront - 1]);
  } else {
    ++front_count_;
  }
  for (uint32_t i = front_count_ - 1; i > 0; --i) front_[i] = front_[i - 1];
  front_[0] = id;
  place_[id] = kInFront;
}

void ReuseStack::Remove(uint32_t id) {
  if (id >= place_.size() || place_[id] == kAbsent) return;
  if (place_[id] != kInFront) {
    Clear(place_[id] - kFirstTime);
  } else {
    uint32_t at = 0;
    while (front_[at] != id) ++at;
    for (--front_count_; at < front_count_; ++at) front_[at] = front_[at + 1];
  }
  place_[id] = kAbsent;
}

void ReuseStack::Append(uint32_t id) {
  if (next_time_ == id_at_.size()) Renumber();
  const uint32_t time = next_time_++;
  if (time % kBlockBits == 0) {
    AddToBlock(open_block_, static_cast<int32_t>(open_count_));
    open_block_ = time / kBlockBits;
    open_count_ = 0;
  }
  place_[id] = kFirstTime + time;
  id_at_[time] = id;
  bits_[time / 64] |= uint64_t{1} << (time % 64);
  ++open_count_;
  ++live_;
}

void ReuseStack::Clear(uint32_t time) {
  bits_[time / 64] &= ~(uint64_t{1} << (time % 64));
  --live_;
  if (time / kBlockBits == open_block_) {
    --open_count_;
  } else {
    AddToBlock(time / kBlockBits, -1);
  }
}

void ReuseStack::AddToBlock(uint32_t block, int32_t by) {
  const size_t blocks = block_sum_.size();
  for (size_t i = size_t{block} + 1; i < blocks; i += i & (~i + 1)) {
    block_sum_[i] += static_cast<uint32_t>(by);
  }
}

uint64_t ReuseStack::CountAfter(uint32_t time) const {
  const uint32_t block = time / kBlockBits;
  uint32_t upto = 0;
  for (size_t i = block; i > 0; i &= i - 1) upto += block_sum_[i];
  const uint32_t word = time / 64;
  const uint64_t below = bits_[word] & (~uint64_t{0} >> (63 - time % 64));
  uint64_t bits = BitsByByte(below);
  // At most 64 in each byte, for the at most 8 words of a block.
  for (uint32_t w = block * (kBlockBits / 64); w < word; ++w) bits += BitsByByte(bits_[w]);
  return live_ - upto - SumOfBytes(bits);
}

void ReuseStack::Renumber() {
  uint32_t to = 0;
  for (uint32_t word = 0; word < bits_.size(); ++word) {
    for (uint64_t left = bits_[word]; left != 0; left &= left - 1) {
      const uint32_t id = id_at_[word * 64 + static_cast<uint32_t>(std::countr_zero(left))];
      id_at_[to] = id;
      place_[id] = kFirstTime + to++;
    }
  }
  CORACLE_CHECK(to == live_);
  size_t times = id_at_.size();
  // At least half of the times must be free afterwards, or the next renumbering comes too soon.
  if (live_ > times / 2) {
    CORACLE_CHECK(times < kTimesMost);
    times *= 2;
  }
  id_at_.resize(times);
  bits_.assign(times / 64, 0);
  for (uint32_t time = 0; time < live_; ++time) bits_[time / 64] |= uint64_t{1} << (time % 64);
  open_block_ = live_ / kBlockBits;
  open_count_ = live_ % kBlockBits;
  const uint64_t full = live_ - open_count_;
  block_sum_.assign(times / kBlockBits + 1, 0);
  for (size_t i = 1; i < block_sum_.size(); ++i) {
    const uint64_t begin = (i - (i & (~i + 1))) * kBlockBits;
    const uint64_t end = i * kBlockBits;
    block_sum_[i] = static_cast<uint32_t>(std::min(end, full) - std::min(begin, full));
  }
  next_time_ = live_;
}

}  // namespace coracle::characterize
