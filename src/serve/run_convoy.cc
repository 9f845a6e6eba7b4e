#include "serve/run_convoy.h"

#include <vector>

namespace coracle::serve {

Status RunConvoy(Runner& runner, std::span<Request> requests, const BeforeAnswer& before_answer) {
  std::vector<Status> written(requests.size());
  bool has_input = false;
  for (uint32_t i = 0; i < requests.size(); ++i) {
    written[i] = requests[i].write_inputs(runner.input(i));
    has_input = has_input || written[i].ok();
  }
  const Status run = has_input ? runner.Run() : Status();
  for (uint32_t i = 0; i < requests.size(); ++i) {
    const Status& status = written[i].ok() ? run : written[i];
    before_answer(status);
    requests[i].done(status, status.ok() ? &runner.output(i) : nullptr);
  }
  return run;
}

void FailConvoy(std::span<Request> requests, const Error& error,
                const BeforeAnswer& before_answer) {
  const Status status = error;
  for (Request& request : requests) {
    before_answer(status);
    request.done(status, nullptr);
  }
}

}  // namespace coracle::serve
