#include "emulator/epcrun/timeline.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "emulator/epcrun/machine.h"

namespace coracle::epc {
namespace {

constexpr uint64_t kPeriodNs = uint64_t{kTimelineMs} * 1'000'000;

uint64_t Since(const std::atomic<uint64_t>& counter, uint64_t& before) {
  const uint64_t now = counter;
  return now - std::exchange(before, now);
}

}  // namespace

Result<std::unique_ptr<Timeline>> Timeline::Make(const std::string& path) {
  std::FILE* const file = std::fopen(path.c_str(), "we");
  if (file == nullptr) {
    return Error{Code::kUnavailable, fmt::format("--timeline {}: {}", path, std::strerror(errno))};
  }
  std::fputs("milliseconds,resident_bytes,wanted_bytes,loads,evictions,zero_fills\n", file);
  return std::unique_ptr<Timeline>(new Timeline(path, file, Nanoseconds()));
}

Timeline::Timeline(std::string path, std::FILE* file, uint64_t start_ns)
    : path_(std::move(path)), file_(file), start_ns_(start_ns), next_ns_(start_ns) {}

Timeline::~Timeline() {
  if (file_ != nullptr) std::fclose(file_);
}

void Timeline::Line(const RunRecord& record, uint64_t now_ns) {
  const std::string line = fmt::format(
      "{:.3f},{},{},{},{},{}\n", static_cast<double>(now_ns - start_ns_) / 1e6,
      record.resident_bytes.load(), record.wanted_bytes.load(), Since(record.loads, loads_),
      Since(record.evictions, evictions_), Since(record.zero_fills, zero_fills_));
  std::fputs(line.c_str(), file_);
}

void Timeline::Tick(const RunRecord& record) {
  const uint64_t now = Nanoseconds();
  if (now < next_ns_) return;
  next_ns_ = now + kPeriodNs;
  Line(record, now);
}

Status Timeline::Finish(const RunRecord& record) {
  Line(record, Nanoseconds());
  const bool written = std::ferror(file_) == 0;
  if (std::fclose(std::exchange(file_, nullptr)) == 0 && written) return {};
  return Error{Code::kUnavailable, fmt::format("--timeline {}: {}", path_, std::strerror(errno))};
}

}  // namespace coracle::epc
