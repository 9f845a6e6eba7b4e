// Several sealed files (of one network: plain and coded), predicted in turn, each read from storage
// of the same stated rate. Prints each file's best time, its ratio to the first's, and the
// median of their ratios round by round.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "api/posix_outside.h"
#include "base/units.h"
#include "cmd/support/sealed_file.h"
#include "runtime/measure_rates.h"
#include "throttled_blob.h"

namespace coracle::bench {
namespace {

struct Arguments {
  std::vector<std::string> files;
  std::string key;
  double gbps = 0.3;
  int rounds = 5;
  uint32_t threads = 1;
  std::string memory = "unlimited";
};

struct Entrant {
  std::string file;
  cmd::OpenedModel opened;
  std::unique_ptr<ThrottledBlob> blob;
  std::unique_ptr<seal::SealedModel> model;
  std::unique_ptr<runtime::Session> session;
  std::vector<double> ms;
};

Result<Entrant> Enter(const Arguments& arguments, const std::string& file,
                      const plan::MachineRates& rates, PosixOutside& outside) {
  Entrant entrant;
  entrant.file = file;
  TRY_ASSIGN(entrant.opened, cmd::OpenSealed(file, arguments.key, host::BlobAccess::kView));
  TRY_ASSIGN(const crypto::Key256 key, cmd::ReadOwnerKey(arguments.key));
  entrant.blob = std::make_unique<ThrottledBlob>(*entrant.opened.blob, arguments.gbps);
  TRY_ASSIGN(entrant.model,
             seal::SealedModel::Open(*entrant.blob, key, crypto::PreferredAeadBackend()));
  plan::PlanRequest request;
  request.threads = arguments.threads;
  request.rates = rates;
  request.pinning = plan::Pinning::kNone;  // each prediction reads every weight
  if (arguments.memory != "unlimited") {
    TRY_ASSIGN(request.budget_bytes, ParseBytes(arguments.memory));
  }
  TRY_ASSIGN(plan::Plan plan, plan::MakePlan(entrant.model->manifest().graph, request));
  TRY_ASSIGN(entrant.session, outside.Start(*entrant.model, std::move(plan)));
  return entrant;
}

Status Predict(Entrant& entrant, host::Clock& clock) {
  const graph::Graph& graph = entrant.model->manifest().graph;
  for (uint32_t i = 0; i < graph.inputs.size(); ++i) {
    entrant.session->WriteInput(i, 0, std::vector<float>(graph.inputs[i].shape.Elements(), 0.5F));
  }
  const uint64_t start = clock.NowNanoseconds();
  TRY(entrant.session->Run());
  entrant.ms.push_back(static_cast<double>(clock.NowNanoseconds() - start) * 1e-6);
  return {};
}

void Print(const std::vector<Entrant>& entrants) {
  const double first_ms = *std::ranges::min_element(entrants[0].ms);
  for (const Entrant& entrant : entrants) {
    std::vector<double> ratios;
    for (size_t i = 0; i < entrant.ms.size(); ++i) {
      ratios.push_back(entrant.ms[i] / entrants[0].ms[i]);
    }
    std::ranges::sort(ratios);
    const double best_ms = *std::ranges::min_element(entrant.ms);
    fmt::print("{:<40} {:>10} read {:>9.2f} ms, {:.3f} of the first; round by round {:.3f}\n",
               entrant.file, FormatBytes(entrant.session->stats().decrypted_bytes), best_ms,
               best_ms / first_ms, ratios[ratios.size() / 2]);
  }
}

Status Run(const Arguments& arguments) {
  PosixOutside outside;
  TRY_ASSIGN(const plan::MachineRates rates, runtime::MeasureRates(outside.clock()));
  std::vector<Entrant> entrants;
  for (const std::string& file : arguments.files) {
    TRY_ASSIGN(entrants.emplace_back(), Enter(arguments, file, rates, outside));
  }
  for (int round = 0; round < arguments.rounds; ++round) {
    for (Entrant& entrant : entrants) TRY(Predict(entrant, outside.clock()));
  }
  fmt::print("{} GB/s, {} thread(s), best of {}; decrypting {:.1f} GB/s, decoding {:.2f} GB/s\n",
             arguments.gbps, arguments.threads, arguments.rounds, rates.aead_gbps,
             rates.decode_gbps);
  Print(entrants);
  return {};
}

}  // namespace
}  // namespace coracle::bench

int main(int argc, char** argv) {
  coracle::bench::Arguments arguments;
  CLI::App app("Predicts sealed files read from slow storage, in turn");
  app.add_option("FILE", arguments.files, "Sealed files, the plain one first")->required();
  app.add_option("--key", arguments.key, "Their owner key")->required();
  app.add_option("--gbps", arguments.gbps, "Rate of the storage, GB/s")->capture_default_str();
  app.add_option("--rounds", arguments.rounds, "Predictions of each")->capture_default_str();
  app.add_option("--threads", arguments.threads, "Workers")->capture_default_str();
  app.add_option("--memory", arguments.memory, "Budget")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const coracle::Status done = coracle::bench::Run(arguments);
  if (done.ok()) return 0;
  fmt::print(stderr, "storage_bench: {}\n", done.error().message);
  return 1;
}
