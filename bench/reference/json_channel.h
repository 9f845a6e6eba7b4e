#pragma once

#include <cstdio>
#include <nlohmann/json_fwd.hpp>

#include "marked_run.h"

namespace coracle::reference {

/// The program's standard output, kept for JSON alone: one object a line, flushed at once. While it
/// lives, whatever a foreign library prints to standard output goes to standard error. One thread.
class JsonChannel {
 public:
  /// Ends the program if standard output cannot be redirected.
  JsonChannel();
  ~JsonChannel();
  JsonChannel(const JsonChannel&) = delete;
  JsonChannel& operator=(const JsonChannel&) = delete;

  void Write(const nlohmann::json& line);

 private:
  std::FILE* out_;
};

/// The protocol of `--serve`: writes {"ready":true}, then answers each line of standard input,
/// `run` with {"ms":...} and `rss` with {"rss_bytes":...,"hwm_bytes":...}, until `quit` or the end
/// of input. Any other line is answered with {"error":...}. Each run is marked (marked_run.h).
void Serve(JsonChannel& channel, const RunOnce& run_once_ms);

}  // namespace coracle::reference
