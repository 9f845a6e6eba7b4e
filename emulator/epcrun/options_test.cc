#include "emulator/epcrun/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "emulator/epcrun/limit.h"

namespace coracle::epc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<Options> Parse(std::vector<std::string> words) {
  words.insert(words.begin(), "epcrun");
  std::vector<char*> arguments;
  arguments.reserve(words.size());
  for (std::string& word : words) arguments.push_back(word.data());
  return ParseOptions(static_cast<int>(arguments.size()), arguments.data());
}

void ExpectRefused(std::vector<std::string> words, const std::string& why) {
  const Result<Options> options = Parse(std::move(words));
  ASSERT_FALSE(options.ok()) << why;
  EXPECT_EQ(options.error().code, Code::kInvalidArgument);
  EXPECT_THAT(options.error().message, HasSubstr(why));
}

TEST(OptionsTest, TheProgramsOwnOptionsAreLeftAlone) {
  const Result<Options> options =
      Parse({"--size", "93MiB", "-q", "--", "prog", "--size", "1", "--json"});
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->limit_bytes, uint64_t{93} << 20);
  EXPECT_EQ(options->summary, Summary::kNone);
  EXPECT_THAT(options->program, ElementsAre("prog", "--size", "1", "--json"));
  const Result<Options> bare = Parse({"--size", "93MiB", "prog", "-x", "--", "y"});
  ASSERT_TRUE(bare.ok());
  EXPECT_THAT(bare->program, ElementsAre("prog", "-x", "--", "y"));
}

TEST(OptionsTest, SizesAreWholePagesAndNotTooSmall) {
  EXPECT_EQ(*ParseLimit("--size", "unlimited"), kUnlimited);
  EXPECT_EQ(*ParseLimit("--size", "1MiB"), kLimitBytesMin);
  ExpectRefused({"--size", "1020KiB", "--", "p"}, "less than 1 MiB");
  ExpectRefused({"--size", "2097153", "--", "p"}, "whole number of pages");
  ExpectRefused({"--size", "many", "--", "p"}, "not a size");
}

TEST(OptionsTest, WhatIsMissingOrContradictoryIsSaid) {
  ExpectRefused({"--", "p"}, "--size is missing");
  ExpectRefused({"--size", "8MiB"}, "which program?");
  ExpectRefused({"--size", "8MiB", "--page", "2MiB", "--", "p"}, "an EPC page is 4KiB");
  ExpectRefused({"--size", "8MiB", "--quota", "1MiB", "--", "p"}, "add --share");
  ExpectRefused({"--size", "8MiB", "--share", "a/b", "--", "p"}, "--share 'a/b'");
  ExpectRefused({"--size", "unlimited", "--share", "a", "--", "p"}, "of some size");
  ExpectRefused({"--size", "8MiB", "--share", "a", "--quota", "9MiB", "--", "p"}, "more than");
  ExpectRefused({"--size", "8MiB", "--nonsense", "--", "p"}, "--nonsense");
  ExpectRefused({"--list"}, "add --share");
  ExpectRefused({"--calibrate", "--size", "unlimited"}, "takes a limit");
}

}  // namespace
}  // namespace coracle::epc
