// One model of `coracle compare`, in a process of its own, so that its memory is its own.
//
// Lines in, JSON objects out. The first, unasked: {"ready": true}. A file's path as a JSON string:
// {"ms", "outputs": as `coracle run` gives them}; the outputs are then in the folder as .npy files.
// "rss": {"resident_bytes", "pool_bytes"}. Anything that fails: {"error": {"usage", "message"}}.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "cmd/support/console.h"
#include "cmd/support/line_child.h"

namespace coracle::cmd {

/// Adds the hidden verb that such a process runs.
void AddCompareWorker(CLI::App& app, Console& console);

/// The other end of it.
class ComparedModel {
 public:
  struct Arguments {
    std::string path;
    std::string key;
    std::string memory;
    uint32_t threads = 1;
    std::string folder;  ///< for its outputs
  };
  /// Errors: those of opening and planning the model.
  static Result<std::unique_ptr<ComparedModel>> Start(const Arguments& arguments);

  /// One prediction. Errors: the input's, the session's.
  Result<Json> Predict(const std::string& input);
  Result<Json> Memory() { return Ask("rss"); }

 private:
  explicit ComparedModel(std::unique_ptr<LineChild> child) : child_(std::move(child)) {}
  Result<Json> Ask(const std::string& line);

  std::unique_ptr<LineChild> child_;
};

}  // namespace coracle::cmd
