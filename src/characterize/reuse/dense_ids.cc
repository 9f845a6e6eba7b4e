#include "characterize/reuse/dense_ids.h"

#include <utility>

#include "base/check.h"

namespace coracle::characterize {
namespace {

constexpr size_t kEntriesLeast = 1024;

}  // namespace

DenseIds::DenseIds() : entries_(kEntriesLeast) {}

size_t DenseIds::Probe(uint64_t key) const {
  size_t at = Home(key);
  while (entries_[at].id != kNone && entries_[at].key != key) at = (at + 1) & (entries_.size() - 1);
  return at;
}

uint32_t DenseIds::Find(uint64_t key) const { return entries_[Probe(key)].id; }

DenseIds::Found DenseIds::FindOrAddSlowly(uint64_t key) {
  size_t at = Probe(key);
  if (entries_[at].id != kNone) return {entries_[at].id, false};
  if ((count_ + 1) * 8 > entries_.size() * 5) {
    Grow();
    at = Probe(key);
  }
  uint32_t id = bound_;
  if (free_.empty()) {
    CORACLE_CHECK(bound_ + 1 < kNone);
    ++bound_;
  } else {
    id = free_.back();
    free_.pop_back();
  }
  entries_[at] = {key, id};
  ++count_;
  return {id, true};
}

void DenseIds::Grow() {
  std::vector<Entry> old = std::exchange(entries_, std::vector<Entry>(entries_.size() * 2));
  for (const Entry& entry : old) {
    if (entry.id != kNone) entries_[Probe(entry.key)] = entry;
  }
}

uint32_t DenseIds::Remove(uint64_t key) {
  const size_t at = Probe(key);
  const uint32_t id = entries_[at].id;
  if (id == kNone) return kNone;
  Erase(at);
  free_.push_back(id);
  --count_;
  recent_[key % kRecent] = {};
  return id;
}

void DenseIds::Rename(uint64_t from, uint64_t to) {
  const size_t at = Probe(from);
  const uint32_t id = entries_[at].id;
  CORACLE_CHECK(id != kNone);
  Erase(at);
  const size_t place = Probe(to);
  CORACLE_CHECK(entries_[place].id == kNone);
  entries_[place] = {to, id};
  recent_[from % kRecent] = {};
  recent_[to % kRecent] = {};
}

std::vector<uint64_t> DenseIds::KeysBetween(uint64_t begin, uint64_t end) const {
  std::vector<uint64_t> keys;
  for (const Entry& entry : entries_) {
    if (entry.id != kNone && entry.key >= begin && entry.key < end) keys.push_back(entry.key);
  }
  return keys;
}

void DenseIds::Erase(size_t hole) {
  const size_t mask = entries_.size() - 1;
  for (size_t at = (hole + 1) & mask; entries_[at].id != kNone; at = (at + 1) & mask) {
    // An entry moves into the hole if the hole lies on its way from home to where it is.
    const size_t home = Home(entries_[at].key);
    if (((at - home) & mask) < ((at - hole) & mask)) continue;
    entries_[hole] = entries_[at];
    hole = at;
  }
  entries_[hole] = {};
}

}  // namespace coracle::characterize
