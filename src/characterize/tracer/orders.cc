#include "characterize/tracer/orders.h"

#include <fmt/format.h>

#include <charconv>

namespace coracle::characterize {
namespace {

std::string WithDoubledCommas(std::string_view text) {
  std::string out;
  for (const char c : text) out.append(c == ',' ? 2 : 1, c);
  return out;
}

template <typename T>
Status ParseNumber(std::string_view argument, std::string_view text, T& value) {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && stop == end) return {};
  return Error{Code::kInvalidArgument, fmt::format("tracer: '{}' has no number", argument)};
}

}  // namespace

std::string TracerOrders::ToOption(std::string_view plugin_path) const {
  std::string option =
      fmt::format("{},program={},report={},run={},sample={}", WithDoubledCommas(plugin_path),
                  WithDoubledCommas(program_path), WithDoubledCommas(report_path),
                  analysis.run_pages_max, analysis.sample_rate);
  if (!recorder_path.empty()) {
    option += fmt::format(",recorder={}", WithDoubledCommas(recorder_path));
  }
  if (from_mark) option += fmt::format(",from={}", *from_mark);
  if (to_mark) option += fmt::format(",to={}", *to_mark);
  if (work == TracerWork::kDigests) option += ",work=digests";
  for (const uint64_t bytes : analysis.epc_bytes) option += fmt::format(",epc={}", bytes);
  for (const uint32_t shift : analysis.shifts) option += fmt::format(",shift={}", shift);
  return option;
}

Result<TracerOrders> TracerOrders::Parse(std::span<const std::string_view> arguments) {
  TracerOrders orders;
  orders.analysis.shifts.clear();
  for (const std::string_view argument : arguments) {
    const size_t equals = argument.find('=');
    const std::string_view key = argument.substr(0, equals);
    const std::string_view text =
        equals == std::string_view::npos ? std::string_view() : argument.substr(equals + 1);
    if (key == "program") {
      orders.program_path = text;
    } else if (key == "report") {
      orders.report_path = text;
    } else if (key == "recorder") {
      orders.recorder_path = text;
    } else if (key == "from") {
      TRY(ParseNumber(argument, text, orders.from_mark.emplace()));
    } else if (key == "to") {
      TRY(ParseNumber(argument, text, orders.to_mark.emplace()));
    } else if (argument == "work=digests") {
      orders.work = TracerWork::kDigests;
    } else if (key == "run") {
      TRY(ParseNumber(argument, text, orders.analysis.run_pages_max));
    } else if (key == "sample") {
      TRY(ParseNumber(argument, text, orders.analysis.sample_rate));
    } else if (key == "epc") {
      TRY(ParseNumber(argument, text, orders.analysis.epc_bytes.emplace_back()));
    } else if (key == "shift") {
      TRY(ParseNumber(argument, text, orders.analysis.shifts.emplace_back()));
    } else {
      return Error{Code::kInvalidArgument, fmt::format("tracer: unknown order '{}'", argument)};
    }
  }
  if (orders.report_path.empty()) {
    return Error{Code::kInvalidArgument,
                 "tracer: no report=FILE: it is run by coracle characterize"};
  }
  return orders;
}

}  // namespace coracle::characterize
