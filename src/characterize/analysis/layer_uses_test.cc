#include "characterize/analysis/layer_uses.h"

#include <gtest/gtest.h>

namespace coracle::characterize {
namespace {

TEST(LayerUses, APageCountsOnceInEachLayerHoweverTheyAlternate) {
  LayerUses uses;
  for (int turn = 0; turn < 3; ++turn) {
    for (const char* name : {"a", "b"}) {
      uses.Begin(name);
      for (uint32_t page = 0; page < 100; page += 3) uses.Touch(page, turn == 0 && *name == 'a');
    }
  }
  ASSERT_EQ(uses.layers().size(), 2u);
  for (const LayerUses::Layer& layer : uses.layers()) {
    EXPECT_EQ(layer.pages, 34u);
    EXPECT_EQ(layer.entered, 3u);
  }
  EXPECT_EQ(uses.layers()[0].cold_pages, 34u);
  EXPECT_EQ(uses.layers()[1].cold_pages, 0u);
  uses.Forget(3);
  uses.Forget(1000);
  uses.Touch(3, true);
  EXPECT_EQ(uses.layers()[0].pages, 34u);
  EXPECT_EQ(uses.layers()[1].pages, 35u);
}

TEST(LayerUses, NoNameIsNoLayer) {
  LayerUses uses;
  EXPECT_FALSE(uses.within());
  uses.Begin("a");
  EXPECT_TRUE(uses.within());
  uses.Begin("");
  EXPECT_FALSE(uses.within());
  EXPECT_EQ(uses.layers().size(), 1u);
}

TEST(LayerUses, ARestartKeepsThePresentOne) {
  LayerUses uses;
  uses.Begin("a");
  uses.Begin("b");
  uses.Touch(1, true);
  uses.CountLoads(2);
  uses.Restart();
  ASSERT_EQ(uses.layers().size(), 1u);
  EXPECT_EQ(uses.layers()[0].name, "b");
  EXPECT_EQ(uses.layers()[0].entered, 1u);
  EXPECT_EQ(uses.layers()[0].pages, 0u);
  uses.Touch(1, false);
  EXPECT_EQ(uses.layers()[0].pages, 1u);
  EXPECT_EQ(uses.layers()[0].loads[1], 0u);
}

TEST(LayerUses, TooManyShareOne) {
  LayerUses uses;
  for (size_t i = 0; i < 2 * LayerUses::kLayersMax; ++i) uses.Begin("layer " + std::to_string(i));
  uses.Begin("layer 7");
  EXPECT_EQ(uses.layers().size(), LayerUses::kLayersMax);
  EXPECT_EQ(uses.layers().back().name, LayerUses::kFurther);
  EXPECT_EQ(uses.layers().back().entered, LayerUses::kLayersMax + 1);
  EXPECT_EQ(uses.layers()[7].entered, 2u);
}

}  // namespace
}  // namespace coracle::characterize
