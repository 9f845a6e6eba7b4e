// JsonFields: one JSON object of a sealed spec, read field by field, nothing thrown.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace coracle::vision {

inline constexpr size_t kSpecBytesMax = 1 << 20;

/// Reads known keys; Finish refuses the unknown ones. Getters give nothing for an absent key.
class JsonFields {
 public:
  /// `what` names the spec in messages ("preprocess"). `object` must outlive this.
  JsonFields(const nlohmann::json& object, std::string_view what) : object_(object), what_(what) {}

  /// Parses text into an object. Errors: kMalformed.
  static Result<nlohmann::json> ParseObject(std::string_view text, std::string_view what);

  Result<std::optional<std::string>> String(std::string_view key);
  Result<std::string> RequiredString(std::string_view key);
  /// A finite number.
  Result<std::optional<double>> Number(std::string_view key);
  Result<std::optional<bool>> Bool(std::string_view key);
  /// A whole number in [least, most].
  Result<std::optional<uint32_t>> Whole(std::string_view key, uint32_t least, uint32_t most);
  Result<uint32_t> RequiredWhole(std::string_view key, uint32_t least, uint32_t most);
  /// Finite numbers, `count_max` at most.
  Result<std::optional<std::vector<double>>> Numbers(std::string_view key, size_t count_max);
  /// An array, left to the caller. Null if absent.
  Result<const nlohmann::json*> Array(std::string_view key);
  /// Errors: kInvalidArgument if a key was never asked for.
  Status Finish() const;

  Error Wrong(std::string_view key, std::string_view wants) const;

 private:
  const nlohmann::json* Find(std::string_view key);

  const nlohmann::json& object_;
  std::string what_;
  std::vector<std::string> asked_;
};

/// `text` with every byte that is not part of valid UTF-8 replaced by '?', so that it can be
/// written as JSON.
std::string ToUtf8(std::string_view text);

}  // namespace coracle::vision
