#include "import/darknet/cfg.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace coracle::import {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Cfg, ReadsSectionsOptionsAndComments) {
  const auto sections = ParseCfg(
      "# comment\r\n[net]\n width = 4 0 \n;old\n\n[conv]\nsteps=1, 2,3\nscale=.5 # half\n"
      "size=3\nsize=5");
  ASSERT_TRUE(sections.ok()) << sections.error().message;
  ASSERT_EQ(sections->size(), 2U);
  EXPECT_EQ(*(*sections)[0].Count("width", 0, 0, 100), 40U) << "white space inside is dropped";
  const CfgSection& conv = (*sections)[1];
  EXPECT_EQ(conv.line(), 6U);
  EXPECT_THAT(*conv.Ints("steps"), ElementsAre(1, 2, 3));
  EXPECT_EQ(*conv.Float("scale", 1), .5F);
  EXPECT_EQ(*conv.Count("size", 1, 1, 9), 3U) << "the first counts";
  EXPECT_EQ(*conv.Count("stride", 1, 1, 9), 1U);
  EXPECT_EQ(conv.String("activation", "logistic"), "logistic");
}

TEST(Cfg, RefusesWithTheLine) {
  const auto message = [](std::string_view text) {
    const auto sections = ParseCfg(text);
    return sections.ok() ? std::string("fine") : sections.error().message;
  };
  EXPECT_THAT(message("[net]\nwidth"), HasSubstr("line 2: 'width' is neither"));
  EXPECT_THAT(message("[net\n"), HasSubstr("line 1: '[net' is no [section]"));
  EXPECT_THAT(message("width=1\n[net]"), HasSubstr("line 1: an option before"));
  EXPECT_THAT(message("\n\n"), HasSubstr("not a Darknet cfg"));
  EXPECT_THAT(message(std::string_view("a\0b", 3)), HasSubstr("is no text"));
  EXPECT_THAT(message(std::string(kCfgBytesMax + 1, ' ')), HasSubstr("at most"));
}

TEST(Cfg, RefusesWrongNumbers) {
  const auto sections = ParseCfg("[a]\nn=x\nbig=99999999999999999999\nf=1e999\nl=1,,2\nneg=-1\n");
  ASSERT_TRUE(sections.ok());
  const CfgSection& section = (*sections)[0];
  EXPECT_THAT(section.Count("n", 0, 0, 9).error().message, HasSubstr("line 2: [a] n='x'"));
  EXPECT_FALSE(section.Count("big", 0, 0, 9).ok());
  EXPECT_FALSE(section.Float("f", 0).ok());
  EXPECT_FALSE(section.Ints("l").ok());
  EXPECT_EQ(section.Count("neg", 0, 0, 9).error().code, Code::kUnsupported);
  EXPECT_THAT(section.Count("missing", 0, 1, 9).error().message,
              HasSubstr("needs the option missing"));
  EXPECT_FALSE(section.MustBeOff("neg").ok());
  EXPECT_TRUE(section.MustBeOff("missing").ok());
}

}  // namespace
}  // namespace coracle::import
