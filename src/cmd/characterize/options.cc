#include "cmd/characterize/options.h"

#include <fmt/format.h>

#include <bit>

#include "base/units.h"
#include "characterize/program/access_run.h"

namespace coracle::cmd {
namespace {

std::vector<std::string> SplitAtCommas(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

Result<uint64_t> ParseEpc(const std::string& text) {
  TRY_ASSIGN(const uint64_t bytes, ParseBytes(text));
  if (bytes < 64 * characterize::kPageBytes || bytes % characterize::kPageBytes != 0) {
    return Error{Code::kInvalidArgument,
                 fmt::format("--epc: {} is not a multiple of 4 KiB of at least 256 KiB", text)};
  }
  return bytes;
}

Result<uint32_t> ParseGranularity(const std::string& text) {
  TRY_ASSIGN(const uint64_t bytes, ParseBytes(text));
  if (!std::has_single_bit(bytes) || bytes < characterize::kLineBytes ||
      bytes > characterize::kPageBytes) {
    return Error{Code::kInvalidArgument,
                 fmt::format("--granularity: {} is not a power of two from 64 B to 4 KiB", text)};
  }
  return static_cast<uint32_t>(std::countr_zero(bytes));
}

}  // namespace

Result<characterize::TraceAnalysis::Settings> ParseSettings(const CharacterizeOptions& options) {
  characterize::TraceAnalysis::Settings settings;
  settings.shifts.clear();
  settings.sample_rate = options.sample;
  const std::vector<std::string> sizes = SplitAtCommas(options.epc);
  if (sizes.size() > characterize::EpcCaches::kSizesMax) {
    return Error{Code::kInvalidArgument,
                 fmt::format("--epc: at most {} sizes", characterize::EpcCaches::kSizesMax)};
  }
  for (const std::string& text : sizes) {
    TRY_ASSIGN(settings.epc_bytes.emplace_back(), ParseEpc(text));
  }
  for (const std::string& text : SplitAtCommas(options.granularity)) {
    TRY_ASSIGN(const uint32_t shift, ParseGranularity(text));
    // Pages are always there.
    if (shift != characterize::kPageShift) settings.shifts.push_back(shift);
  }
  return settings;
}

}  // namespace coracle::cmd
