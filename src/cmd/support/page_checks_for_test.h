// What every page of html_page.h must hold to, whatever it shows.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "cmd/support/console.h"

namespace coracle::cmd {

/// What stands in the page's data element, whose id is `id`.
inline std::string_view DataOf(std::string_view page, std::string_view id) {
  const std::string open = "<script id=\"" + std::string(id) + "\" type=\"application/json\">";
  const size_t begin = page.find(open) + open.size();
  return page.substr(begin, page.find("</script>", begin) - begin);
}

inline size_t Count(std::string_view text, std::string_view what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + what.size())) {
    ++count;
  }
  return count;
}

inline constexpr const char* kHostileNames[] = {"</script><script>alert(1)</script>",
                                                "<!--<script>",
                                                "]]>&amp;&lt;",
                                                "\u2028\u2029 é \U0001F6F6",
                                                "{{charts}}{{policy}}",
                                                "\"}]}'`\\",
                                                "\x01\x1f\x7f"};

/// `data` is what the page carries; no name in it can end its element or be taken for anything
/// else.
inline void ExpectDataStaysData(std::string_view page, std::string_view data) {
  EXPECT_EQ(data.find_first_of("<>&"), data.npos) << data;
  EXPECT_TRUE(std::ranges::all_of(data, [](char c) { return c >= ' ' && c < 0x7f; })) << data;
  // The data, the library, the page's own.
  EXPECT_EQ(Count(page, "</script"), 3U) << data;
}

/// No script but its own two may run.
inline void ExpectOwnScriptsOnly(std::string_view page) {
  EXPECT_THAT(std::string(page),
              ::testing::HasSubstr("content=\"default-src 'none'; script-src 'sha256-"));
  const size_t begin = page.find("script-src");
  const std::string policy(page.substr(begin, page.find(';', begin) - begin));
  EXPECT_THAT(policy, ::testing::Not(::testing::HasSubstr("unsafe")));
  EXPECT_EQ(Count(policy, "'sha256-"), 2U);
}

/// Nothing is left to fill in, and the charting library's licences are there.
inline void ExpectWhole(const std::string& page) {
  for (const char* slot : {"{{policy}}", "{{main}}", "{{script}}"}) {
    EXPECT_THAT(page, ::testing::Not(::testing::HasSubstr(slot)));
  }
  EXPECT_THAT(page, ::testing::HasSubstr("Apache License"));
  EXPECT_THAT(page, ::testing::HasSubstr("Redistributions in binary form"));
}

}  // namespace coracle::cmd
