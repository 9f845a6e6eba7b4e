#include "seal/text.h"

#include <gtest/gtest.h>

#include <string>

namespace coracle::seal {
namespace {

using namespace std::string_view_literals;

TEST(TextTest, AcceptsPrintableUtf8) {
  for (const std::string_view text :
       {""sv, "conv1/weights:0"sv, "a\tb"sv, "m\xc3\xbcsli"sv, "\xc2\xa0"sv, "\xe4\xb8\xad"sv,
        "\xed\x9f\xbf"sv, "\xee\x80\x80"sv, "\xf0\x90\x80\x80"sv, "\xf4\x8f\xbf\xbf"sv}) {
    EXPECT_TRUE(IsPrintableUtf8(text)) << text;
  }
}

TEST(TextTest, RefusesControlCharacters) {
  for (const std::string_view text :
       {"a\nb"sv, "\r"sv, "\x1b[2J"sv, "\0"sv, "\x7f"sv, "\xc2\x80"sv, "\xc2\x9f"sv}) {
    EXPECT_FALSE(IsPrintableUtf8(text));
  }
}

TEST(TextTest, RefusesWhatIsNotUtf8) {
  for (const std::string_view text :
       {"\x80"sv, "\xbf"sv, "\xc0\x80"sv, "\xc1\xbf"sv, "\xc3"sv, "\xc3("sv, "\xe0\x9f\xbf"sv,
        "\xe4\xb8"sv, "\xed\xa0\x80"sv, "\xf0\x8f\xbf\xbf"sv, "\xf4\x90\x80\x80"sv,
        "\xf5\x80\x80\x80"sv, "\xff"sv, "\xf0\x90\x80"sv}) {
    EXPECT_FALSE(IsPrintableUtf8(text));
  }
}

}  // namespace
}  // namespace coracle::seal
