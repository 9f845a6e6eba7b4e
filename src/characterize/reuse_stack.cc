#include "characterize/reuse_stack.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace coracle::characterize {
namespace {

constexpr uint32_t kTimesLeast = 4096;
constexpr uint32_t kTimesMost = uint32_t{1} << 31;

}  // namespace

ReuseStack::ReuseStack()
    : id_at_(kTimesLeast), bits_(kTimesLeast / 64), block_sum_(kTimesLeast / kBlockBits + 1) {}

uint64_t ReuseStack::TouchBelow(uint32_t id) {
  for (uint32_t i = 1; i < front_count_; ++i) {
    if (front_[i] != id) continue;
    for (uint32_t j = i; j > 0; --j) front_[j] = front_[j - 1];
    front_[0] = id;
    return i;
  }
  if (id >= place_.size()) place_.resize(size_t{id} + id / 2 + 64, kAbsent);
  uint64_t distance = kCold;
  if (const uint32_t place = place_[id]; place != kAbsent) {
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
  for (uint32_t j = front_count_ - 1; j > 0; --j) front_[j] = front_[j - 1];
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
  place_[id] = kFirstTime + time;
  id_at_[time] = id;
  bits_[time / 64] |= uint64_t{1} << (time % 64);
  AddToBlock(time, 1);
  ++live_;
}

void ReuseStack::Clear(uint32_t time) {
  bits_[time / 64] &= ~(uint64_t{1} << (time % 64));
  AddToBlock(time, -1);
  --live_;
}

void ReuseStack::AddToBlock(uint32_t time, int32_t by) {
  const size_t blocks = block_sum_.size();
  for (size_t i = time / kBlockBits + 1; i < blocks; i += i & (~i + 1)) {
    block_sum_[i] += static_cast<uint32_t>(by);
  }
}

uint64_t ReuseStack::CountAfter(uint32_t time) const {
  const uint32_t block = time / kBlockBits;
  uint32_t upto = 0;
  for (size_t i = block; i > 0; i &= i - 1) upto += block_sum_[i];
  const uint32_t word = time / 64;
  for (uint32_t w = block * (kBlockBits / 64); w < word; ++w) {
    upto += static_cast<uint32_t>(std::popcount(bits_[w]));
  }
  const uint64_t below = bits_[word] & (~uint64_t{0} >> (63 - time % 64));
  return live_ - upto - static_cast<uint32_t>(std::popcount(below));
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
  block_sum_.assign(times / kBlockBits + 1, 0);
  for (size_t i = 1; i < block_sum_.size(); ++i) {
    const uint64_t begin = (i - (i & (~i + 1))) * kBlockBits;
    const uint64_t end = i * kBlockBits;
    block_sum_[i] =
        static_cast<uint32_t>(std::min<uint64_t>(end, live_) - std::min<uint64_t>(begin, live_));
  }
  next_time_ = live_;
}

}  // namespace coracle::characterize
