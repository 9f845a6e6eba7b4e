#include "json_channel.h"

#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>

#include "fail.h"

namespace coracle::reference {
namespace {

struct ResidentMemory {
  uint64_t now_bytes = 0;
  uint64_t peak_bytes = 0;
};

/// From /proc/self/status, proc(5): VmRSS and VmHWM, in KiB.
ResidentMemory ReadResidentMemory() {
  ResidentMemory memory;
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    std::istringstream fields(line);
    std::string key;
    uint64_t kibibytes = 0;
    fields >> key >> kibibytes;
    if (key == "VmRSS:") memory.now_bytes = kibibytes * 1024;
    if (key == "VmHWM:") memory.peak_bytes = kibibytes * 1024;
  }
  return memory;
}

}  // namespace

JsonChannel::JsonChannel() : out_(nullptr) {
  std::fflush(stdout);
  const int descriptor = dup(STDOUT_FILENO);
  if (descriptor >= 0) out_ = fdopen(descriptor, "w");
  if (out_ == nullptr || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
    Fail("cannot redirect standard output; start the program with standard output open");
  }
}

JsonChannel::~JsonChannel() { std::fclose(out_); }

void JsonChannel::Write(const nlohmann::json& line) {
  fmt::print(out_, "{}\n", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  std::fflush(out_);
}

void Serve(JsonChannel& channel, const RunOnce& run_once_ms) {
  channel.Write({{"ready", true}});
  std::string line;
  uint64_t predictions = 0;
  while (std::getline(std::cin, line)) {
    if (line == "quit") return;
    if (line == "run") {
      const double ms = RunMarked(predictions++, run_once_ms);
      channel.Write({{"ms", ms}});
    } else if (line == "rss") {
      const ResidentMemory memory = ReadResidentMemory();
      channel.Write({{"rss_bytes", memory.now_bytes}, {"hwm_bytes", memory.peak_bytes}});
    } else {
      channel.Write({{"error", "unknown request '" + line + "'; send run, rss or quit"}});
    }
  }
}

}  // namespace coracle::reference
