#include "characterize/advice/buffer_name.h"

#include <gtest/gtest.h>

namespace coracle::characterize {
namespace {

TEST(BufferName, IsTheProgramsOwnFunction) {
  EXPECT_EQ(AllocatingFunction({"calloc", "make_layer", "parse", "main"}), "make_layer");
  EXPECT_EQ(AllocatingFunction({"operator new(unsigned long)", "std::vector<float>::resize",
                                "ort::Load(char const*)"}),
            "ort::Load(char const*)");
  EXPECT_EQ(AllocatingFunction({"malloc", "calloc"}), "calloc");
  EXPECT_EQ(AllocatingFunction(Json::array()), "an unknown function");
}

TEST(BufferName, PathsAndFunctionsFitTheirWidth) {
  EXPECT_EQ(ShortPath({"calloc", "make_layer", "parse", "main"}, 40), "make_layer < parse < main");
  EXPECT_EQ(ShortPath({"calloc", "make_layer", "parse", "main"}, 18), "make_layer < parse");
  EXPECT_EQ(ShortPath(Json::array(), 40), "an unknown function");
  EXPECT_EQ(ShortFunction("ort::Load(char const*)", 20), "ort::Load");
  EXPECT_EQ(ShortFunction("ort::Fetch::operator()(int) const", 30), "ort::Fetch::operator()");
  EXPECT_EQ(ShortFunction("onnxruntime::BFCArena::Alloc", 12), "...na::Alloc");
  EXPECT_EQ(ShortFunction("abcdef", 3), "abc");
}

}  // namespace
}  // namespace coracle::characterize
