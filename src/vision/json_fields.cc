#include "vision/json_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace coracle::vision {
namespace {

bool IsFiniteNumber(const nlohmann::json& value) {
  return value.is_number() && std::isfinite(value.get<double>());
}

/// Bytes of the well-formed UTF-8 sequence that `text` starts with (RFC 3629); 0: none.
size_t SequenceBytes(std::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t count = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < count) return 0;
  for (size_t i = 1; i < count; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const uint8_t next = byte(1);
  const bool overlong = (lead == 0xe0 && next < 0xa0) || (lead == 0xf0 && next < 0x90);
  const bool outside = (lead == 0xed && next > 0x9f) || (lead == 0xf4 && next > 0x8f);
  return overlong || outside ? 0 : count;
}

}  // namespace

Result<nlohmann::json> JsonFields::ParseObject(std::string_view text, std::string_view what) {
  if (text.size() > kSpecBytesMax) {
    return Error{Code::kMalformed, fmt::format("{}: longer than {} bytes", what, kSpecBytesMax)};
  }
  auto object = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) {
    return Error{Code::kMalformed, fmt::format("{}: not a JSON object", what)};
  }
  return object;
}

const nlohmann::json* JsonFields::Find(std::string_view key) {
  asked_.emplace_back(key);
  const auto found = object_.find(asked_.back());
  return found == object_.end() ? nullptr : &*found;
}

Error JsonFields::Wrong(std::string_view key, std::string_view wants) const {
  return Error{Code::kInvalidArgument, fmt::format("{}: \"{}\" must be {}", what_, key, wants)};
}

Result<std::optional<std::string>> JsonFields::String(std::string_view key) {
  const auto* value = Find(key);
  if (value == nullptr) return std::optional<std::string>();
  if (!value->is_string()) return Wrong(key, "a string");
  return std::optional(value->get<std::string>());
}

Result<std::string> JsonFields::RequiredString(std::string_view key) {
  TRY_ASSIGN(auto value, String(key));
  if (!value) return Wrong(key, "given");
  return *std::move(value);
}

Result<std::optional<double>> JsonFields::Number(std::string_view key) {
  const auto* value = Find(key);
  if (value == nullptr) return std::optional<double>();
  if (!IsFiniteNumber(*value)) return Wrong(key, "a finite number");
  return std::optional(value->get<double>());
}

Result<std::optional<bool>> JsonFields::Bool(std::string_view key) {
  const auto* value = Find(key);
  if (value == nullptr) return std::optional<bool>();
  if (!value->is_boolean()) return Wrong(key, "true or false");
  return std::optional(value->get<bool>());
}

Result<std::optional<uint32_t>> JsonFields::Whole(std::string_view key, uint32_t least,
                                                  uint32_t most) {
  const auto* value = Find(key);
  if (value == nullptr) return std::optional<uint32_t>();
  const auto wants = fmt::format("a whole number from {} to {}", least, most);
  if (!value->is_number_unsigned()) return Wrong(key, wants);
  const auto number = value->get<uint64_t>();
  if (number < least || number > most) return Wrong(key, wants);
  return std::optional(static_cast<uint32_t>(number));
}

Result<uint32_t> JsonFields::RequiredWhole(std::string_view key, uint32_t least, uint32_t most) {
  TRY_ASSIGN(const auto value, Whole(key, least, most));
  if (!value) return Wrong(key, "given");
  return *value;
}

Result<std::optional<std::vector<double>>> JsonFields::Numbers(std::string_view key,
                                                               size_t count_max) {
  TRY_ASSIGN(const auto* array, Array(key));
  if (array == nullptr) return std::optional<std::vector<double>>();
  if (array->size() > count_max || !std::ranges::all_of(*array, IsFiniteNumber)) {
    return Wrong(key, fmt::format("an array of at most {} finite numbers", count_max));
  }
  std::vector<double> numbers;
  for (const auto& number : *array) numbers.push_back(number.get<double>());
  return std::optional(std::move(numbers));
}

Result<const nlohmann::json*> JsonFields::Array(std::string_view key) {
  const auto* value = Find(key);
  if (value != nullptr && !value->is_array()) return Wrong(key, "an array");
  return value;
}

Status JsonFields::Finish() const {
  for (const auto& [key, value] : object_.items()) {
    if (std::ranges::find(asked_, key) == asked_.end()) {
      return Error{Code::kInvalidArgument,
                   fmt::format("{}: unknown key \"{}\"; known here: {}", what_,
                               ToUtf8(key.substr(0, 40)), fmt::join(asked_, ", "))};
    }
  }
  return {};
}

std::string ToUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t count = SequenceBytes(text);
    if (count == 0) {
      out += '?';
    } else {
      out += text.substr(0, count);
    }
    text.remove_prefix(std::max<size_t>(count, 1));
  }
  return out;
}

}  // namespace coracle::vision
