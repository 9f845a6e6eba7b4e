// LineChild: a child process that is spoken to in lines, one answer a line (the engines of `coracle
// bench`).
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cmd/support/console.h"

namespace coracle::cmd {

class LineChild {
 public:
  /// Starts `program` with `arguments`. Errors: kUnavailable.
  static Result<std::unique_ptr<LineChild>> Start(const std::string& program,
                                                  const std::vector<std::string>& arguments);
  /// Closes its input, waits for it, kills it if it does not end.
  ~LineChild();
  LineChild(const LineChild&) = delete;
  LineChild& operator=(const LineChild&) = delete;

  /// Sends `line` (may be empty: nothing is sent) and returns the JSON object of the next line.
  /// Errors: kUnavailable if the child ended or answered something else.
  Result<Json> Ask(const std::string& line);
  /// Stops the whole process (threads of an engine may spin on after it has answered) until the
  /// next Ask.
  void Suspend();

 private:
  LineChild(pid_t child, int input, int output, std::string name)
      : child_(child), input_(input), output_(output), name_(std::move(name)) {}
  Result<std::string> ReadLine();

  pid_t child_;
  int input_;
  int output_;
  std::string name_;
  std::string buffered_;
};

}  // namespace coracle::cmd
