#include "cmd/support/html_page.h"

#include <fmt/format.h>

#include <array>
#include <span>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "crypto/hash.h"

// Laid into the program by coracle_embed (CMakeLists.txt).
extern "C" {
extern const char coracle_echarts[], coracle_echarts_end[];
extern const char coracle_echarts_notice[], coracle_echarts_notice_end[];
extern const char coracle_echarts_licence[], coracle_echarts_licence_end[];
extern const char coracle_echarts_licence_d3[], coracle_echarts_licence_d3_end[];
extern const char coracle_page_frame_html[], coracle_page_frame_html_end[];
extern const char coracle_page_css[], coracle_page_css_end[];
extern const char coracle_page_js[], coracle_page_js_end[];
}

namespace coracle::cmd {

std::string_view Embedded(const char* begin, const char* end) {
  return {begin, static_cast<size_t>(end - begin)};
}

namespace {

using Slots = std::span<const std::pair<std::string_view, std::string_view>>;

/// Base64 (RFC 4648, section 4) of a SHA-256 digest.
std::string Base64(const crypto::Digest256& digest) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < digest.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = i; j < i + 3; ++j) {
      group = group << 8 | (j < digest.size() ? static_cast<uint32_t>(digest[j]) : 0);
    }
    for (int shift = 18; shift >= 0; shift -= 6) text += kAlphabet[group >> shift & 63];
  }
  // Of the 33rd byte, which is not there, one character holds bits.
  text.back() = '=';
  return text;
}

/// What a Content-Security-Policy calls a script by.
std::string ScriptSource(std::string_view script) {
  const Result<crypto::Digest256> digest =
      crypto::Sha256(std::as_bytes(std::span(script.data(), script.size())));
  CORACLE_CHECK(digest.ok());
  return fmt::format("'sha256-{}'", Base64(*digest));
}

std::string Replaced(std::string_view text, std::string_view from,
                     std::span<const std::string_view> to) {
  std::string out;
  for (const char c : text) {
    const size_t at = from.find(c);
    if (at == std::string_view::npos) {
      out += c;
    } else {
      out += to[at];
    }
  }
  return out;
}

/// JSON for a <script type="application/json">: ASCII, and no character that HTML could take for
/// the end of the element (they can only stand inside of strings, where JSON may escape them).
std::string DataText(const Json& data) {
  constexpr std::array<std::string_view, 3> kEscaped = {"\\u003c", "\\u003e", "\\u0026"};
  return Replaced(data.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace), "<>&",
                  kEscaped);
}

std::string HtmlText(std::string_view text) {
  constexpr std::array<std::string_view, 3> kEscaped = {"&lt;", "&gt;", "&amp;"};
  return Replaced(text, "<>&", kEscaped);
}

std::string PageScript(const PageParts& parts) {
  std::string script = "\"use strict\";\n";
  script += Embedded(coracle_page_js, coracle_page_js_end);
  script += parts.script;
  return script;
}

std::string PageStyle(const PageParts& parts) {
  std::string style(Embedded(coracle_page_css, coracle_page_css_end));
  style += parts.style;
  return style;
}

std::string LicenceText() {
  std::string text(Embedded(coracle_echarts_notice, coracle_echarts_notice_end));
  text += "\n\n";
  text += Embedded(coracle_echarts_licence, coracle_echarts_licence_end);
  text += "\n\nd3.js\n\n";
  text += Embedded(coracle_echarts_licence_d3, coracle_echarts_licence_d3_end);
  return HtmlText(text);
}

/// Fills each `{{slot}}` of the page, once, from left to right: what is filled in is not read
/// again.
std::string Filled(std::string_view page, Slots slots) {
  std::string out;
  for (size_t open = page.find("{{"); open != std::string_view::npos; open = page.find("{{")) {
    const size_t close = page.find("}}", open);
    CORACLE_CHECK(close != std::string_view::npos);
    const std::string_view name = page.substr(open + 2, close - open - 2);
    out += page.substr(0, open);
    page.remove_prefix(close + 2);
    bool known = false;
    for (const auto& [slot, value] : slots) {
      if (slot != name) continue;
      out += value;
      known = true;
    }
    CORACLE_CHECK(known);
  }
  out += page;
  return out;
}

}  // namespace

std::string HtmlPage(const PageParts& parts, const Json& data) {
  const std::string_view charts = Embedded(coracle_echarts, coracle_echarts_end);
  const std::string script = PageScript(parts);
  // Styles may be inline, as a chart's tooltip sets its own; with no source to load from they do
  // no harm.
  const std::string policy = fmt::format(
      "default-src 'none'; script-src {} {}; style-src 'unsafe-inline'; base-uri 'none'; "
      "form-action 'none'",
      ScriptSource(charts), ScriptSource(script));
  const std::string style = PageStyle(parts);
  const std::string data_text = DataText(data);
  const std::string licence = LicenceText();
  const std::array<std::pair<std::string_view, std::string_view>, 9> slots = {{
      {"policy", policy},
      {"title", parts.title},
      {"style", style},
      {"main", parts.main},
      {"data-id", parts.data_id},
      {"data", data_text},
      {"charts", charts},
      {"script", script},
      {"licence", licence},
  }};
  return Filled(Embedded(coracle_page_frame_html, coracle_page_frame_html_end), slots);
}

}  // namespace coracle::cmd
