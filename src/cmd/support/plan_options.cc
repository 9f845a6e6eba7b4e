#include "cmd/support/plan_options.h"

namespace coracle::cmd {

void AddPinOption(CLI::App* verb, std::string& pin) {
  verb->add_option("--pin", pin,
                   "auto: memory left over keeps weights open between predictions; none: every "
                   "prediction opens every weight")
      ->check(CLI::IsMember({"auto", "none"}))
      ->capture_default_str();
}

void AddBatchOption(CLI::App* verb, uint32_t& batch) {
  verb->add_option("--batch", batch, "Inputs that go through the network together")
      ->check(CLI::Range(1U, graph::kMaxBatch))
      ->capture_default_str();
}

plan::PlanRequest PlanRequestOf(uint64_t budget_bytes, uint32_t threads, const std::string& pin,
                                uint32_t batch) {
  plan::PlanRequest request;
  request.budget_bytes = budget_bytes;
  request.threads = threads;
  request.batch = batch;
  request.pinning = pin == "none" ? plan::Pinning::kNone : plan::Pinning::kAuto;
  return request;
}

}  // namespace coracle::cmd
