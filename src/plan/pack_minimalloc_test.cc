// The packer on minimalloc's hard instances, where they are present.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "gtest/gtest.h"
#include "plan/pack.h"
#include "plan/test_pack_instance.h"

namespace coracle::plan {
namespace {

namespace fs = std::filesystem;

TEST(PackMinimalloc, EveryInstanceFitsItsCapacity) {
  constexpr uint64_t kCapacityBytes = 1'048'576;
  constexpr uint64_t kWork = 200'000'000;
  const char* set = std::getenv("CORACLE_MINIMALLOC_DIR");
  const fs::path directory = set != nullptr ? set : "../shared/vectors/minimalloc";
  if (!fs::exists(directory)) GTEST_SKIP() << directory << " is not there";
  int packed = 0;
  for (const auto& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(".1048576.csv")) continue;
    std::ifstream file(entry.path());
    const auto buffers = ParsePackInstance(
        std::string{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
    ASSERT_TRUE(buffers.ok()) << name << ": " << buffers.error().message;
    const Packing packing = Pack(*buffers, {}, PackLimits{kCapacityBytes, kWork});
    EXPECT_EQ(CheckPacking(*buffers, {}, packing), "") << name;
    EXPECT_LE(packing.pool_bytes, kCapacityBytes) << name;
    EXPECT_LE(packing.bound_bytes, packing.pool_bytes) << name;
    ++packed;
  }
  if (packed == 0) GTEST_SKIP() << "no instance in " << directory;
}

}  // namespace
}  // namespace coracle::plan
