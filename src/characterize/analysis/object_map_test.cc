#include "characterize/analysis/object_map.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/index.h"
#include "characterize/reuse/reuse_stack.h"

namespace coracle::characterize {
namespace {

constexpr uint64_t kBase = 0x7f0000000000;
constexpr CallPathIndex kPath{3};

Volume Written(uint64_t bytes) { return {0, 1, 0, bytes}; }

TEST(ObjectMap, SmallBlocksAndStrangeOnesAreNotFollowed) {
  ObjectMap map;
  map.Allocate(kBase, ObjectMap::kBytesLeast - 1, kPath, 0);
  map.Allocate(UINT64_MAX - 100, 8192, kPath, 0);
  map.Free(kBase, 0);
  EXPECT_TRUE(map.objects().empty());
  EXPECT_TRUE(map.paths().empty());
  map.Allocate(kBase, 8192, CallPathIndex{UINT32_MAX}, 0);
  EXPECT_EQ(map.paths().size(), 1u);
  EXPECT_EQ(map.paths()[0].allocations, 1u);
}

TEST(ObjectMap, APageBelongsToTheBlockThatCoversMostOfIt) {
  ObjectMap map;
  map.Allocate(kBase, kPageBytes + 1000, kPath, 0);
  map.Allocate(kBase + kPageBytes + 1000, 2 * kPageBytes, kPath, 0);
  const uint64_t page = kBase >> kPageShift;
  EXPECT_EQ(Position(map.OwnerOf(page).block), 0u);
  EXPECT_EQ(Position(map.OwnerOf(page + 1).block), 1u);
  EXPECT_EQ(Position(map.OwnerOf(page + 2).block), 1u);
  EXPECT_EQ(Position(map.OwnerOf(page + 3).block), 1u);
  EXPECT_EQ(map.OwnerOf(page + 4).block, ObjectMap::kNoBlock);
  EXPECT_EQ(map.OwnerOf(page - 1).block, ObjectMap::kNoBlock);
  map.Free(kBase + kPageBytes + 1000, 5);
  EXPECT_EQ(Position(map.OwnerOf(page + 1).block), 0u);
  EXPECT_EQ(map.OwnerOf(page + 2).block, ObjectMap::kNoBlock);
}

TEST(ObjectMap, FreedOnesOfFewPagesMakeRoomAndStayInTheirPath) {
  ObjectMap map;
  constexpr uint64_t kLive = ObjectMap::kObjectsMax / 2;
  constexpr uint64_t kShort = 3 * ObjectMap::kObjectsMax;
  const auto address = [](uint64_t block) { return kBase + block * 2 * kPageBytes; };
  const auto touch = [&map](uint64_t at) {
    const ObjectMap::Owner owner = map.OwnerOf(at >> kPageShift);
    map.Touch(owner, true, kCold, 7);
    map.Count(owner, FunctionIndex{1}, Written(64), 7);
  };
  for (uint64_t block = 0; block < kLive; ++block) {
    map.Allocate(address(block), kPageBytes, kPath, block);
  }
  // Every hundredth of those that go again is touched.
  std::set<uint64_t> touched;
  for (uint64_t i = 0; i < kShort; ++i) {
    map.Allocate(address(kLive), kPageBytes, kPath, i);
    if (i % 100 == 0) {
      touch(address(kLive));
      touched.insert(kLive + i);
    }
    map.Free(address(kLive), i);
  }
  for (uint64_t block = 0; block < kLive; ++block) touch(address(block));
  EXPECT_LE(map.objects().size(), ObjectMap::kObjectsMax);
  uint64_t live = 0;
  for (const ObjectMap::Object& object : map.objects()) {
    if (object.freed_at == ObjectMap::kNever) {
      EXPECT_EQ(Position(object.index), live++);
      EXPECT_EQ(object.begin, address(Position(object.index)));
      EXPECT_EQ(object.volume.written_bytes, 64u);
    }
    touched.erase(Position(object.index));
  }
  EXPECT_EQ(live, kLive);
  EXPECT_TRUE(touched.empty());
  const ObjectMap::PathUse& use = map.paths()[Position(kPath)];
  EXPECT_EQ(use.allocations, kLive + kShort);
  EXPECT_EQ(use.live_bytes, kLive * kPageBytes);
  EXPECT_EQ(use.volume.writes, kLive + (kShort + 99) / 100);
}

TEST(ObjectMap, WhenAllAreLiveFurtherOnesCountForTheirPathAlone) {
  ObjectMap map;
  constexpr uint64_t kBlocks = ObjectMap::kObjectsMax + 100;
  for (uint64_t block = 0; block < kBlocks; ++block) {
    map.Allocate(kBase + block * kPageBytes, kPageBytes, kPath, 0);
  }
  EXPECT_EQ(map.objects().size(), ObjectMap::kObjectsMax);
  const ObjectMap::Owner owner = map.OwnerOf((kBase >> kPageShift) + kBlocks - 1);
  EXPECT_EQ(Position(owner.block), kBlocks - 1);
  EXPECT_EQ(owner.object, ObjectMap::kNoObject);
  map.Touch(owner, true, 5, 0);
  map.Count(owner, FunctionIndex{1}, Written(8), 0);
  map.CountLoads(owner, 1);
  const ObjectMap::PathUse& use = map.paths()[Position(kPath)];
  EXPECT_EQ(use.pages, 1u);
  EXPECT_EQ(use.volume.written_bytes, 8u);
  EXPECT_EQ(use.loads[0], 1u);
  EXPECT_EQ(use.bytes, kBlocks * kPageBytes);
}

TEST(ObjectMap, FunctionsThatAccessMostAreKept) {
  ObjectMap map;
  map.Allocate(kBase, kPageBytes, kPath, 0);
  const ObjectMap::Owner owner = map.OwnerOf(kBase >> kPageShift);
  // Three of a hundred functions have three quarters of the bytes between them.
  std::map<uint16_t, uint64_t> truth;
  for (uint64_t i = 0; i < 4000; ++i) {
    const auto function = static_cast<uint16_t>(i % 4 == 0 ? 10 + i / 4 % 97 : i % 4);
    map.Count(owner, FunctionIndex{function}, Written(16), i);
    truth[function] += 16;
  }
  const ObjectMap::Object& object = map.objects()[0];
  EXPECT_EQ(object.accessors.size(), ObjectMap::kAccessorsMax);
  uint64_t found = 0;
  for (const ObjectMap::Accessor& accessor : object.accessors) {
    const auto function = static_cast<uint16_t>(accessor.function);
    EXPECT_LE(accessor.written_bytes, truth.at(function));
    EXPECT_GE(accessor.rank, truth.at(function));
    if (function > 3) continue;
    ++found;
    EXPECT_EQ(accessor.written_bytes, truth.at(function));
  }
  EXPECT_EQ(found, 3u);
  EXPECT_EQ(object.volume.written_bytes, 4000u * 16);
}

}  // namespace
}  // namespace coracle::characterize
