#include "passes/layout.h"

#include <gtest/gtest.h>

namespace coracle::passes {
namespace {

TEST(Layout, Algebra) {
  EXPECT_EQ(WithLast({0, 2, 3, 1}, 2), (Layout{0, 3, 1, 2}));
  EXPECT_EQ(PositionOf({0, 2, 3, 1}, 1), 3U);
  EXPECT_EQ(PhysicalShape({2, 3, 4, 5}, ChannelsLast()), (Shape{2, 4, 5, 3}));
  EXPECT_EQ(PhysicalShape({}, {}), (Shape{1}));
  EXPECT_EQ(TransposeBetween({0, 1, 2, 3}, {0, 2, 3, 1}), (std::vector<uint32_t>{0, 2, 3, 1}));
  EXPECT_EQ(TransposeBetween({0, 2, 3, 1}, {0, 1, 2, 3}), (std::vector<uint32_t>{0, 3, 1, 2}));
}

TEST(Layout, SameOrderForgetsAxesOfOne) {
  EXPECT_TRUE(SameOrder({1, 8, 1, 1}, ChannelsLast(), IdentityLayout(4)));
  EXPECT_TRUE(SameOrder({1, 1, 6, 7}, ChannelsLast(), IdentityLayout(4)));
  EXPECT_FALSE(SameOrder({1, 8, 6, 1}, ChannelsLast(), IdentityLayout(4)));
}

struct ReshapeCase {
  const char* what;
  Shape in;
  Layout current;
  Shape out;
  Layout input;
  Layout output;
};

TEST(PlanReshape, ChoosesLayouts) {
  const ReshapeCase cases[] = {
      {"merge H and W of NHWC", {1, 8, 5, 6}, {0, 2, 3, 1}, {1, 8, 30}, {0, 2, 3, 1}, {0, 2, 1}},
      {"squeeze H", {2, 8, 1, 6}, {0, 2, 3, 1}, {2, 8, 6}, {0, 2, 3, 1}, {0, 2, 1}},
      {"unsqueeze to an image", {2, 8, 6}, {0, 2, 1}, {2, 8, 1, 6}, {0, 2, 1}, {0, 2, 3, 1}},
      {"split channels",
       {2, 8, 5, 6},
       {0, 2, 3, 1},
       {2, 2, 4, 5, 6},
       {0, 2, 3, 1},
       {0, 3, 4, 1, 2}},
      {"flatten one pixel", {3, 8, 1, 1}, {0, 2, 3, 1}, {3, 8}, {0, 2, 3, 1}, {0, 1}},
      {"flatten an image", {3, 8, 2, 2}, {0, 2, 3, 1}, {3, 32}, {0, 1, 2, 3}, {0, 1}},
      {"shuffled channels",
       {1, 4, 2, 5, 6},
       {0, 3, 4, 2, 1},
       {1, 8, 5, 6},
       {0, 3, 4, 1, 2},
       {0, 2, 3, 1}},
      {"join heads", {1, 7, 8, 5}, {0, 2, 1, 3}, {1, 7, 40}, {0, 1, 2, 3}, {0, 1, 2}},
      {"regroup", {4, 6}, {0, 1}, {8, 3}, {0, 1}, {0, 1}},
      {"to one element more axes", {1}, {0}, {1, 1, 1, 1}, {0}, {0, 2, 3, 1}},
      {"scalar", {1, 1}, {0, 1}, {}, {0, 1}, {}},
  };
  for (const ReshapeCase& c : cases) {
    SCOPED_TRACE(c.what);
    const ReshapeLayouts layouts = PlanReshape(c.in, c.current, c.out);
    EXPECT_TRUE(SameOrder(c.in, layouts.input, c.input));
    EXPECT_EQ(layouts.output, c.output);
    if (SameOrder(c.in, c.current, c.input)) {
      EXPECT_EQ(layouts.input, c.current);
    }
  }
}

}  // namespace
}  // namespace coracle::passes
