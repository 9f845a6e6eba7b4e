#include "cmd/support/rate_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>

namespace coracle::cmd {
namespace {

constexpr size_t kBarColumns = 24;
constexpr std::chrono::milliseconds kPause(200);

std::string DurationText(double seconds) {
  const auto whole = static_cast<uint64_t>(std::ceil(seconds));
  const uint64_t hours = whole / 3600;
  const uint64_t minutes = whole / 60 % 60;
  if (hours == 0) return fmt::format("{}:{:02}", minutes, whole % 60);
  return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
}

}  // namespace

std::string RateText(size_t done, size_t total, size_t before, double seconds) {
  const size_t columns = total == 0 ? kBarColumns : kBarColumns * done / total;
  std::string text =
      fmt::format("[{:.<{}}] {} of {}", std::string(columns, '#'), kBarColumns, done, total);
  if (done <= before || seconds <= 0) return text;
  const double rate = static_cast<double>(done - before) / seconds;
  return text + fmt::format(", {:.1f} a second, {} left", rate,
                            DurationText(static_cast<double>(total - done) / rate));
}

RateLine::RateLine(size_t total, size_t before)
    : terminal_(isatty(STDERR_FILENO) == 1), total_(total), before_(before) {}

RateLine::~RateLine() {
  if (visible_) fmt::print(stderr, "\r\033[K");
}

void RateLine::Update(size_t done) {
  const Clock::time_point now = Clock::now();
  if (!terminal_ || (visible_ && now - shown_ < kPause)) return;
  shown_ = now;
  visible_ = true;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  fmt::print(stderr, "\r{}\033[K", RateText(done, total_, before_, seconds));
  std::fflush(stderr);
}

}  // namespace coracle::cmd
