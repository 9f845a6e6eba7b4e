#include "runtime/row_share.h"

#include <gtest/gtest.h>

namespace coracle::runtime {
namespace {

TEST(ShareOf, CoversAllRowsInOrderAndCutsNoGranule) {
  for (const uint32_t granule : {1U, 2U, 4U}) {
    for (uint32_t workers = 1; workers < 6; ++workers) {
      for (uint32_t begin = 0; begin < 9; ++begin) {
        for (uint32_t end = begin + 1; end < 30; ++end) {
          uint32_t next = begin;
          uint32_t most = 0;
          for (uint32_t worker = 0; worker < workers; ++worker) {
            const kernels::RowRange share = ShareOf({begin, end}, granule, worker, workers);
            ASSERT_EQ(share.begin, next);
            ASSERT_LE(share.begin, share.end);
            next = share.end;
            ASSERT_TRUE(next == begin || next == end || next % granule == 0);
            most = std::max(most, share.end - share.begin);
          }
          ASSERT_EQ(next, end);
          const uint64_t granules = CeilDiv(end, granule) - begin / granule;
          ASSERT_LE(most, CeilDiv(granules, workers) * granule);
        }
      }
    }
  }
}

TEST(ShareOf, DividesTilesAsEvenlyAsTheyGo) {
  const auto rows = [](uint32_t worker, uint32_t workers) {
    return ShareOf({0, 14}, 4, worker, workers).count();
  };
  EXPECT_EQ(rows(0, 2), 8U);
  EXPECT_EQ(rows(1, 2), 6U);
  EXPECT_EQ(rows(3, 4), 2U);
  EXPECT_EQ(rows(0, 8), 0U);  // fewer tiles than workers
}

}  // namespace
}  // namespace coracle::runtime
