#include "characterize/analysis/object_map.h"

#include <algorithm>
#include <numeric>

#include "base/checked.h"
#include "base/index.h"
#include "characterize/reuse/reuse_stack.h"

namespace coracle::characterize {

void ObjectMap::Allocate(uint64_t address, uint64_t bytes, CallPathIndex path, uint64_t now) {
  const auto end = CheckedAdd(address, bytes);
  if (bytes < kBytesLeast || !end) return;
  EndBetween(address, *end, now);
  if (Position(path) >= kPathsMax) path = CallPathIndex{};
  if (Position(path) >= paths_.size()) paths_.resize(Position(path) + 1);
  PathUse& use = paths_[Position(path)];
  ++use.ordinal;
  ++use.allocations;
  use.bytes += bytes;
  use.live_bytes += bytes;
  use.live_bytes_max = std::max(use.live_bytes_max, use.live_bytes);
  Owner owner{BlockIndex{blocks_++}, path, kNoObject};
  if (HasRoom()) {
    owner.object = static_cast<uint32_t>(objects_.size());
    Object& object = objects_.emplace_back();
    object.index = owner.block;
    object.path = path;
    object.ordinal = use.ordinal;
    object.begin = address;
    object.bytes = bytes;
    object.allocated_at = now;
  }
  live_[address] = {*end, owner};
  ++version_;
}

void ObjectMap::Free(uint64_t address, uint64_t now) {
  const auto block = live_.find(address);
  if (block != live_.end()) End(block, now);
}

ObjectMap::Blocks::iterator ObjectMap::End(Blocks::iterator block, uint64_t now) {
  const Owner& owner = block->second.owner;
  paths_[Position(owner.path)].live_bytes -= block->second.end - block->first;
  if (owner.object != kNoObject) {
    objects_[owner.object].freed_at = now;
    ++freed_objects_;
  }
  ++version_;
  return live_.erase(block);
}

void ObjectMap::EndBetween(uint64_t begin, uint64_t end, uint64_t now) {
  auto at = live_.lower_bound(begin);
  if (at != live_.begin() && std::prev(at)->second.end > begin) --at;
  while (at != live_.end() && at->first < end) at = End(at, now);
}

bool ObjectMap::HasRoom() {
  if (objects_.size() < kObjectsMax) return true;
  // So many at a time that forgetting costs O(log n) a block.
  const size_t forgotten = freed_objects_ / 2;
  if (forgotten < kObjectsMax / 32) return false;
  std::vector<uint32_t> freed;
  for (uint32_t i = 0; i < objects_.size(); ++i) {
    if (objects_[i].freed_at != kNever) freed.push_back(i);
  }
  std::sort(freed.begin(), freed.end(), [this](uint32_t a, uint32_t b) {
    return std::pair(objects_[a].pages, a) < std::pair(objects_[b].pages, b);
  });
  std::vector<bool> keeps(objects_.size(), true);
  for (size_t i = 0; i < forgotten; ++i) keeps[freed[i]] = false;
  Compact(keeps);
  return true;
}

void ObjectMap::Compact(const std::vector<bool>& keeps) {
  std::vector<uint32_t> place(objects_.size(), kNoObject);
  uint32_t to = 0;
  freed_objects_ = 0;
  for (uint32_t i = 0; i < objects_.size(); ++i) {
    if (!keeps[i]) continue;
    freed_objects_ += objects_[i].freed_at != kNever ? 1 : 0;
    place[i] = to;
    if (to != i) objects_[to] = std::move(objects_[i]);
    ++to;
  }
  objects_.resize(to);
  for (auto& [begin, block] : live_) {
    if (block.owner.object != kNoObject) block.owner.object = place[block.owner.object];
  }
  ++version_;
}

ObjectMap::Owner ObjectMap::OwnerOf(uint64_t page) const {
  const uint64_t begin = page << kPageShift;
  const uint64_t end = begin + kPageBytes;
  Owner owner;
  uint64_t most = 0;
  auto at = live_.lower_bound(end);
  // The two last blocks that begin before the page's end: others end before it begins.
  for (int i = 0; i < 2 && at != live_.begin(); ++i) {
    --at;
    if (at->second.end <= begin) break;
    const uint64_t covered = std::min(end, at->second.end) - std::max(begin, at->first);
    if (covered < most) continue;
    most = covered;
    owner = at->second.owner;
  }
  return owner;
}

void ObjectMap::Touch(const Owner& owner, bool first, uint64_t distance, uint64_t now) {
  if (first) ++paths_[Position(owner.path)].pages;
  if (owner.object == kNoObject) return;
  Object& object = objects_[owner.object];
  object.pages += first ? 1 : 0;
  if (object.first_access == kNever) object.first_access = now;
  if (distance != kCold && distance != 0) object.returns.Add(distance);
}

void ObjectMap::Count(const Owner& owner, FunctionIndex function, const Volume& volume,
                      uint64_t now) {
  paths_[Position(owner.path)].volume.Add(volume);
  if (owner.object == kNoObject) return;
  Object& object = objects_[owner.object];
  object.volume.Add(volume);
  object.last_access = object.last_access == kNever ? now : std::max(object.last_access, now);
  CountAccessor(object, function, volume);
}

void ObjectMap::CountAccessor(Object& object, FunctionIndex function, const Volume& volume) {
  std::vector<Accessor>& accessors = object.accessors;
  auto at = std::find_if(accessors.begin(), accessors.end(), [function](const Accessor& accessor) {
    return accessor.function == function;
  });
  if (at == accessors.end() && accessors.size() < kAccessorsMax) {
    at = accessors.insert(accessors.end(), {function, 0, 0, 0});
  } else if (at == accessors.end()) {
    at = std::min_element(accessors.begin(), accessors.end(),
                          [](const Accessor& a, const Accessor& b) { return a.rank < b.rank; });
    *at = {function, 0, 0, at->rank};
  }
  at->read_bytes += volume.read_bytes;
  at->written_bytes += volume.written_bytes;
  at->rank += volume.read_bytes + volume.written_bytes;
}

void ObjectMap::CountLoads(const Owner& owner, uint32_t memories) {
  paths_[Position(owner.path)].loads.Add(memories);
  if (owner.object != kNoObject) objects_[owner.object].loads.Add(memories);
}

void ObjectMap::Restart() {
  std::vector<bool> keeps;
  for (const Object& object : objects_) keeps.push_back(object.freed_at == kNever);
  Compact(keeps);
  for (Object& object : objects_) {
    Object fresh;
    fresh.index = object.index;
    fresh.path = object.path;
    fresh.ordinal = object.ordinal;
    fresh.begin = object.begin;
    fresh.bytes = object.bytes;
    object = std::move(fresh);
  }
  for (PathUse& use : paths_) {
    PathUse fresh;
    fresh.ordinal = use.ordinal;
    fresh.live_bytes = use.live_bytes;
    fresh.live_bytes_max = use.live_bytes;
    use = fresh;
  }
}

}  // namespace coracle::characterize
