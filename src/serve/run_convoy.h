// RunConvoy: inputs in, one run, outputs out.
#pragma once

#include <functional>
#include <span>

#include "base/result.h"
#include "serve/scheduler.h"
#include "serve/served_model.h"

namespace coracle::serve {

/// Called right before a request's `done`.
using BeforeAnswer = std::function<void(const Status& status)>;

/// Answers each of `requests` exactly once, the first in the runner's place 0. A request whose
/// inputs cannot be written fails alone; if none can, nothing runs. Returns what Run() returned:
/// the runner is good for another convoy if that is ok. Requires: requests.size() <= the choice's
/// batch.
Status RunConvoy(Runner& runner, std::span<Request> requests, const BeforeAnswer& before_answer);

/// Answers each of `requests` with `error`.
void FailConvoy(std::span<Request> requests, const Error& error, const BeforeAnswer& before_answer);

}  // namespace coracle::serve
