#include "import/darknet/cfg.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>
#include <system_error>

#include "import/quoted.h"

namespace coracle::import {
namespace {

/// Without white space and comment. Darknet drops white space inside of a line too.
std::string Stripped(std::string_view line) {
  std::string out;
  for (const char c : line) {
    if (c == '#') break;
    if (c != ' ' && c != '\t' && c != '\r') out += c;
  }
  return out;
}

template <typename T>
std::optional<T> ParseWhole(std::string_view text) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The numbers of a comma-separated list; a comma at its end is forgiven. Nothing: one is wrong.
template <typename T>
std::optional<std::vector<T>> ParseList(std::string_view text) {
  std::vector<T> values;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::optional<T> value = ParseWhole<T>(text.substr(0, comma));
    if (!value) return std::nullopt;
    values.push_back(*value);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return values;
}

Error LineError(uint32_t line, std::string_view what) {
  return Error{Code::kMalformed, fmt::format("line {}: {}", line, what)};
}

Status AddLine(std::vector<CfgSection>& sections, const std::string& line, uint32_t number) {
  if (line.empty() || line.front() == ';') return {};
  if (line.front() == '[') {
    if (line.size() < 3 || line.back() != ']') {
      return LineError(number, fmt::format("{} is no [section]", Quoted(line)));
    }
    if (sections.size() >= kCfgSectionsMax) {
      return Error{Code::kUnsupported, fmt::format("more than {} sections", kCfgSectionsMax)};
    }
    sections.emplace_back(line.substr(1, line.size() - 2), number);
    return {};
  }
  const size_t equals = line.find('=');
  if (equals == std::string::npos || equals == 0) {
    return LineError(number, fmt::format("{} is neither [section] nor option=value", Quoted(line)));
  }
  if (sections.empty()) return LineError(number, "an option before the first [section]");
  if (sections.back().options().size() >= kCfgOptionsMax) {
    return LineError(number, fmt::format("more than {} options in a section", kCfgOptionsMax));
  }
  sections.back().Add({line.substr(0, equals), line.substr(equals + 1), number});
  return {};
}

}  // namespace

const CfgOption* CfgSection::Find(std::string_view key) const {
  for (const CfgOption& option : options_) {
    if (option.key == key) return &option;
  }
  return nullptr;
}

Error CfgSection::Malformed(std::string_view what) const {
  return Error{Code::kMalformed, fmt::format("line {}: [{}] {}", line_, type_, what)};
}

Error CfgSection::Unsupported(std::string_view what) const {
  return Error{Code::kUnsupported, fmt::format("line {}: [{}] {}", line_, type_, what)};
}

Error CfgSection::Wrong(const CfgOption& option, std::string_view what) const {
  return LineError(option.line, fmt::format("[{}] {}={} {}", type_, option.key.substr(0, 100),
                                            Quoted(option.value), what));
}

std::string CfgSection::String(std::string_view key, std::string_view otherwise) const {
  const CfgOption* option = Find(key);
  return option == nullptr ? std::string(otherwise) : option->value;
}

Result<uint32_t> CfgSection::Count(std::string_view key, uint32_t otherwise, uint32_t least,
                                   uint32_t most) const {
  const CfgOption* option = Find(key);
  if (option == nullptr && otherwise < least) {
    return Malformed(fmt::format("needs the option {}", key));
  }
  if (option == nullptr) return otherwise;
  const std::optional<int64_t> value = ParseWhole<int64_t>(option->value);
  if (!value) return Wrong(*option, "is no whole number");
  if (*value < int64_t{least} || *value > int64_t{most}) {
    return Error{Code::kUnsupported,
                 Wrong(*option, fmt::format("must lie between {} and {}", least, most)).message};
  }
  return static_cast<uint32_t>(*value);
}

Result<float> CfgSection::Float(std::string_view key, float otherwise) const {
  const CfgOption* option = Find(key);
  if (option == nullptr) return otherwise;
  const std::optional<float> value = ParseWhole<float>(option->value);
  if (!value || !std::isfinite(*value)) return Wrong(*option, "is no number");
  return *value;
}

Result<std::vector<int64_t>> CfgSection::Ints(std::string_view key) const {
  const CfgOption* option = Find(key);
  if (option == nullptr) return std::vector<int64_t>{};
  const auto values = ParseList<int64_t>(option->value);
  if (!values) return Wrong(*option, "is no list of whole numbers");
  return *values;
}

Result<std::vector<float>> CfgSection::Floats(std::string_view key) const {
  const CfgOption* option = Find(key);
  if (option == nullptr) return std::vector<float>{};
  const auto values = ParseList<float>(option->value);
  if (!values) return Wrong(*option, "is no list of numbers");
  for (const float value : *values) {
    if (!std::isfinite(value)) return Wrong(*option, "is no list of numbers");
  }
  return *values;
}

Status CfgSection::MustBeOff(std::string_view key) const {
  TRY_ASSIGN(const float value, Float(key, 0));
  if (value != 0) return Unsupported(fmt::format("the option {} is not supported", key));
  return {};
}

Result<std::vector<CfgSection>> ParseCfg(std::string_view text) {
  if (text.size() > kCfgBytesMax) {
    return Error{Code::kUnsupported,
                 fmt::format("{} bytes, a cfg has at most {}", text.size(), kCfgBytesMax)};
  }
  if (text.find('\0') != std::string_view::npos) {
    return Error{Code::kMalformed, "is no text, so not a Darknet cfg"};
  }
  std::vector<CfgSection> sections;
  uint32_t number = 0;
  while (!text.empty()) {
    ++number;
    const size_t end = text.find('\n');
    TRY(AddLine(sections, Stripped(text.substr(0, end)), number));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  if (sections.empty()) return Error{Code::kMalformed, "holds no [section]: not a Darknet cfg"};
  return sections;
}

}  // namespace coracle::import
