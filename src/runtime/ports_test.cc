#include "runtime/ports.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace coracle::runtime {
namespace {

// A port of 1,C,H,W over a tensor N,H,W,C that is a slice of a wider one.
TEST(PortMapTest, TurnsModelOrderIntoRowsAndBack) {
  graph::Graph graph;
  graph.stage = graph::Stage::kRows;
  const graph::TensorIndex tensor = graph.AddTensor("x", Shape{1, 2, 3, 4});  // H 2, W 3, C 4
  const graph::Port port{"x", tensor, Shape{1, 4, 2, 3}, {0, 2, 3, 1}};
  const plan::Placement placement{64, 3 * 6 * 4,
                                  6 * 4};  // six channels lie there, ours are four of them
  std::vector<float> pool(16 + 2 * 3 * 6, -1.0F);
  const PortMap map(graph, port, placement);
  std::vector<float> values(24);
  std::iota(values.begin(), values.end(), 0.0F);
  for (uint64_t first = 0; first < 24; first += 5) {  // in pieces that end anywhere
    map.Write(first, std::span(values).subspan(first, std::min<uint64_t>(5, 24 - first)),
              pool.data() + 16);
  }
  for (uint32_t c = 0; c < 4; ++c) {
    for (uint32_t y = 0; y < 2; ++y) {
      for (uint32_t x = 0; x < 3; ++x) {
        EXPECT_EQ(pool[16 + (y * 3 + x) * 6 + c], values[(c * 2 + y) * 3 + x]);
      }
    }
  }
  EXPECT_EQ(pool[15], -1.0F);
  EXPECT_EQ(pool[16 + 4], -1.0F);  // the neighbour's channels
  std::vector<float> back(24);
  map.Read(0, back, pool.data() + 16);
  EXPECT_EQ(back, values);
}

TEST(PortMapTest, LowRanks) {
  graph::Graph graph;
  const graph::TensorIndex matrix = graph.AddTensor("m", Shape{2, 3});
  const plan::Placement placement{0, 5 * 4, 5 * 4};
  std::vector<float> pool(10, 0.0F);
  const PortMap map(graph, {"m", matrix, Shape{3, 2}, {1, 0}}, placement);
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  map.Write(0, values, pool.data());
  EXPECT_EQ(pool[0], 1);
  EXPECT_EQ(pool[5], 2);
  EXPECT_EQ(pool[1], 3);
  EXPECT_EQ(pool[7], 6);
}

TEST(PortRowsTest, PiecesComeRowByRow) {
  graph::Graph graph;
  graph.stage = graph::Stage::kRows;
  const graph::TensorIndex tensor = graph.AddTensor("x", Shape{1, 2, 5, 3});  // H 2, W 5, C 3
  const graph::Port channels_first{"x", tensor, Shape{1, 3, 2, 5}, {0, 2, 3, 1}};
  std::vector<uint64_t> firsts;
  std::vector<bool> seen(30);
  const Status done =
      ForEachRowPiece(channels_first, 4, [&](uint64_t first, uint64_t count) -> Status {
        firsts.push_back(first);
        for (uint64_t i = first; i < first + count; ++i) {
          EXPECT_FALSE(seen[i]);
          seen[i] = true;
        }
        return {};
      });
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(firsts, (std::vector<uint64_t>{0, 4, 10, 14, 20, 24, 5, 9, 15, 19, 25, 29}));
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), 30);

  const graph::Port channels_last{"x", tensor, Shape{1, 2, 5, 3}, {0, 1, 2, 3}};
  firsts.clear();
  ASSERT_TRUE(ForEachRowPiece(channels_last, 16, [&](uint64_t first, uint64_t count) -> Status {
                firsts.push_back(first);
                EXPECT_EQ(count, first == 0 ? 16U : 14U);
                return {};
              }).ok());
  EXPECT_EQ(firsts, (std::vector<uint64_t>{0, 16}));
}

}  // namespace
}  // namespace coracle::runtime
