#include "characterize/allocations/block_table.h"

#include <gtest/gtest.h>

#include <memory>

namespace coracle::characterize {
namespace {

TEST(BlockTable, KnowsWhatWasPutIn) {
  const auto table = std::make_unique<BlockTable>();
  for (uint64_t i = 1; i <= 10000; ++i) table->Put(i * 4112);
  EXPECT_FALSE(table->Take(16));
  for (uint64_t i = 1; i <= 10000; ++i) ASSERT_TRUE(table->Take(i * 4112)) << i;
  for (uint64_t i = 1; i <= 10000; ++i) ASSERT_FALSE(table->Take(i * 4112)) << i;
}

TEST(BlockTable, ForgetsNoneThatDoNotFit) {
  const auto table = std::make_unique<BlockTable>();
  for (uint64_t i = 1; i <= 200000; ++i) table->Put(i * 4112);
  for (uint64_t i = 1; i <= 200000; ++i) ASSERT_TRUE(table->Take(i * 4112)) << i;
}

}  // namespace
}  // namespace coracle::characterize
