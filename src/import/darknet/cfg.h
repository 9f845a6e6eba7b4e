// A Darknet .cfg as sections of options, each knowing its line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace coracle::import {

inline constexpr size_t kCfgBytesMax = 1 << 20;
inline constexpr size_t kCfgSectionsMax = 4096;
inline constexpr size_t kCfgOptionsMax = 256;  ///< in one section

struct CfgOption {
  std::string key;
  std::string value;
  uint32_t line = 0;
};

/// One section. White space is gone from keys and values, as Darknet has it; of an option that
/// occurs twice the first counts.
class CfgSection {
 public:
  CfgSection(std::string type, uint32_t line) : type_(std::move(type)), line_(line) {}

  const std::string& type() const { return type_; }  ///< "convolutional"
  uint32_t line() const { return line_; }
  const std::vector<CfgOption>& options() const { return options_; }
  void Add(CfgOption option) { options_.push_back(std::move(option)); }

  bool Has(std::string_view key) const { return Find(key) != nullptr; }
  std::string String(std::string_view key, std::string_view otherwise) const;
  /// Errors: kMalformed for what is no number, kUnsupported outside of [least, most]; with the
  /// line.
  Result<uint32_t> Count(std::string_view key, uint32_t otherwise, uint32_t least,
                         uint32_t most) const;
  Result<float> Float(std::string_view key, float otherwise) const;
  /// Comma-separated; empty if the option is not there.
  Result<std::vector<int64_t>> Ints(std::string_view key) const;
  Result<std::vector<float>> Floats(std::string_view key) const;
  /// Refuses the section if it sets `key` to anything but 0.
  Status MustBeOff(std::string_view key) const;

  /// "line 12: [maxpool] what".
  Error Malformed(std::string_view what) const;
  Error Unsupported(std::string_view what) const;

 private:
  const CfgOption* Find(std::string_view key) const;
  Error Wrong(const CfgOption& option, std::string_view what) const;

  std::string type_;
  uint32_t line_;
  std::vector<CfgOption> options_;
};

/// Errors: kMalformed for a line that is no section, option or comment; kUnsupported past a limit.
Result<std::vector<CfgSection>> ParseCfg(std::string_view text);

}  // namespace coracle::import
