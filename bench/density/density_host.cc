// density_host: sealed models behind one scheduler, under load of clients that it plays itself.
//
// For bench/density/density.py, which speaks to it in lines: after {"ready":true,...},
// `load CLIENTS SECONDS` is answered with what each client measured and what the scheduler leased,
// until `quit` or the end of input. Under epcrun each load's begin and end are marked, so that its
// page loads can be told from those of the start.
#include <fmt/format.h>
#include <malloc.h>
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/epc_mark.h"
#include "closed_loop.h"
#include "cmd/support/console.h"
#include "cmd/support/sealed_file.h"
#include "fail.h"
#include "host/posix/clock.h"
#include "host/posix/threads.h"
#include "json_channel.h"
#include "runtime/measure_rates.h"
#include "serve/scheduler.h"
#include "serve/sealed_model.h"

namespace coracle::density {
namespace {

struct Options {
  std::vector<std::string> models;
  std::string key;
  std::string memory;
  uint32_t cores = 1;
  uint32_t threads_max = 0;  // 0: as many as cores
  uint32_t batch_max = 16;
};

Options ParseCommandLine(int argc, char** argv) {
  Options options;
  CLI::App app("Serves sealed models through one scheduler, to clients that it plays itself.");
  app.add_option("--model", options.models, "a sealed file; repeat for several models")
      ->required()
      ->allow_extra_args(false);
  app.add_option("--key", options.key, "the owner key")->required();
  app.add_option("--memory", options.memory, "the scheduler's budget")->required();
  app.add_option("--cores", options.cores, "most workers at once")
      ->check(CLI::Range(1U, plan::kMaxThreads))
      ->capture_default_str();
  app.add_option("--threads-max", options.threads_max, "most workers of one convoy (default: all)")
      ->check(CLI::Range(1U, plan::kMaxThreads));
  app.add_option("--batch-max", options.batch_max, "longest convoy")
      ->check(CLI::Range(1U, 256U))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    std::exit(code == 0 ? 0 : reference::kExitWrongUsage);
  }
  return options;
}

template <typename T>
T Need(Result<T> result, const std::string& what) {
  if (!result.ok()) reference::Fail("{}: {}", what, result.error().message);
  return std::move(result).value();
}

void Need(const Status& status, const std::string& what) {
  if (!status.ok()) reference::Fail("{}: {}", what, status.error().message);
}

/// EINVAL outside of epcrun: nothing to note then.
void Mark(uint64_t label) { (void)::prctl(kEpcMarkCall, label, 0, 0, 0); }

/// Destroyed last to first: the scheduler uses all above it.
struct Service {
  explicit Service(const Options& options) {
    const uint64_t budget = Need(cmd::ParseBudget(options.memory), "--memory");
    serve::FrontSettings front;
    front.budget_bytes = budget;
    front.threads_max = options.threads_max > 0 ? options.threads_max : options.cores;
    front.batch_max = options.batch_max;
    front.rates = Need(runtime::MeasureRates(clock), "rates");
    serve::SchedulerSettings settings;
    settings.budget_bytes = budget;
    settings.cores = options.cores;
    scheduler = Need(serve::Scheduler::Create(settings, clock, threads), "scheduler");
    opened.reserve(options.models.size());
    for (const std::string& path : options.models) {
      opened.push_back(Need(cmd::OpenSealed(path, options.key, host::BlobAccess::kView), path));
      const seal::SealedModel& model = *opened.back().model;
      const std::string name =
          fmt::format("{}-{}", opened.size(), std::filesystem::path(path).stem().string());
      auto served = Need(serve::ServeSealedModel(name, model, front), path);
      loaded_bytes += served->loaded_bytes();
      choice_count += served->choices().size();
      Need(scheduler->Load(std::move(served), 1), path);
      asked.push_back({name, &model.manifest().graph});
    }
    ::malloc_trim(0);  // what planning took
  }

  host::PosixClock clock;
  host::PosixThreads threads;
  std::vector<cmd::OpenedModel> opened;
  std::vector<Asked> asked;
  uint64_t loaded_bytes = 0;
  size_t choice_count = 0;
  std::unique_ptr<serve::Scheduler> scheduler;
};

nlohmann::json Load(Service& service, uint32_t clients, double seconds, uint64_t label) {
  const serve::SchedulerCounts before = service.scheduler->state().counts;
  ClosedLoop loop(*service.scheduler, service.asked, clients);
  Mark(label);
  loop.Run(seconds);
  Mark(label + 1);
  const serve::SchedulerState state = service.scheduler->state();
  nlohmann::json answer = {
      {"convoys", state.counts.convoys - before.convoys},
      {"runners_started", state.counts.runners_started - before.runners_started},
      {"budget_bytes", state.budget_bytes},
      {"leased_peak_bytes", state.leased_peak_bytes},
      {"clients", nlohmann::json::array()}};
  for (const ClientRecord& record : loop.records()) {
    answer["clients"].push_back(
        {{"latencies_ms", record.latencies_ms}, {"seconds", record.seconds}});
  }
  return answer;
}

int RunDensityHost(int argc, char** argv) {
  const Options options = ParseCommandLine(argc, argv);
  reference::JsonChannel channel;
  Service service(options);
  channel.Write(
      {{"ready", true}, {"loaded_bytes", service.loaded_bytes}, {"choices", service.choice_count}});
  uint64_t label = 0;
  for (std::string line; std::getline(std::cin, line) && line != "quit"; label += 2) {
    std::istringstream words(line);
    std::string verb;
    uint32_t clients = 0;
    double seconds = 0;
    words >> verb >> clients >> seconds;
    if (verb != "load" || !words || clients < 1 || clients > 1024) {
      channel.Write({{"error", "expected: load CLIENTS SECONDS"}});
      continue;
    }
    channel.Write(Load(service, clients, seconds, label));
  }
  return 0;
}

}  // namespace
}  // namespace coracle::density

int main(int argc, char** argv) {
  return coracle::reference::RunProgram(coracle::density::RunDensityHost, argc, argv);
}
