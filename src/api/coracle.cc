// libcoracle: include/coracle/coracle.h over seal/, plan/ and runtime/.
#include "coracle/coracle.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "api/posix_outside.h"
#include "crypto/owner_key.h"
#include "host/posix/blob.h"
#include "host/posix/read_file.h"
#include "plan/plan.h"
#include "runtime/session.h"
#include "seal/reader.h"

namespace coracle {
namespace {

constexpr uint64_t kMaxKeyFileBytes = 4096;

Failure AsFailure(const Error& error) { return {std::string(CodeName(error.code)), error.message}; }

std::vector<TensorInfo> Describe(const std::vector<graph::Port>& ports) {
  std::vector<TensorInfo> infos;
  infos.reserve(ports.size());
  for (const graph::Port& port : ports) {
    infos.push_back({port.name, {port.shape.dims().begin(), port.shape.dims().end()}});
  }
  return infos;
}

Result<crypto::Key256> ReadKey(const std::string& path) {
  TRY_ASSIGN(std::vector<std::byte> text, host::ReadWholeFile(path, kMaxKeyFileBytes));
  Result<crypto::Key256> key = crypto::DecodeOwnerKey(text);
  crypto::WipeMemory(text);
  return key;
}

}  // namespace

struct Model::State {
  std::unique_ptr<host::Blob> blob;
  std::unique_ptr<seal::SealedModel> model;
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;

  static Result<std::shared_ptr<State>> Open(const std::string& sealed_path,
                                             const std::string& key_path) {
    TRY_ASSIGN(const crypto::Key256 key, ReadKey(key_path));
    auto state = std::make_shared<State>();
    TRY_ASSIGN(state->blob, host::OpenMappedBlob(sealed_path));
    TRY_ASSIGN(state->model,
               seal::SealedModel::Open(*state->blob, key, crypto::PreferredAeadBackend()));
    state->inputs = Describe(state->graph().inputs);
    state->outputs = Describe(state->graph().outputs);
    return state;
  }
  const graph::Graph& graph() const { return model->manifest().graph; }
};

struct Predictor::State {
  // Destroyed last to first: the session uses everything above it.
  std::shared_ptr<Model::State> model;
  PosixOutside outside;
  std::unique_ptr<runtime::Session> session;
  Usage usage;

  Status Feed(const std::map<std::string, std::span<const float>>& inputs);
};

Status Predictor::State::Feed(const std::map<std::string, std::span<const float>>& inputs) {
  const std::vector<graph::Port>& ports = model->graph().inputs;
  if (inputs.size() != ports.size()) {
    return Error{Code::kInvalidArgument, fmt::format("the model has {} inputs, {} were given",
                                                     ports.size(), inputs.size())};
  }
  for (uint32_t i = 0; i < ports.size(); ++i) {
    const auto given = inputs.find(ports[i].name);
    if (given == inputs.end()) {
      return Error{Code::kInvalidArgument, fmt::format("input '{}' is missing", ports[i].name)};
    }
    const uint32_t batch = session->plan().batch;
    const uint64_t elements = batch * ports[i].shape.Elements();
    if (given->second.size() != elements) {
      return Error{Code::kInvalidArgument,
                   fmt::format("input '{}' takes {}{} ({} elements), {} were given", ports[i].name,
                               batch == 1 ? "" : fmt::format("{} times ", batch),
                               ports[i].shape.ToString(), elements, given->second.size())};
    }
    session->WriteInput(i, 0, given->second);
  }
  return {};
}

Expected<Model> Model::Open(const std::string& sealed_path, const std::string& key_path) {
  Result<std::shared_ptr<State>> state = State::Open(sealed_path, key_path);
  if (!state.ok()) return AsFailure(state.error());
  return Model(std::move(state).value());
}

Model::Model(std::shared_ptr<State> state) : state_(std::move(state)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

const std::vector<TensorInfo>& Model::inputs() const { return state_->inputs; }
const std::vector<TensorInfo>& Model::outputs() const { return state_->outputs; }
const std::vector<std::string>& Model::labels() const { return state_->model->manifest().labels; }
uint64_t Model::least_memory_bytes() const { return plan::FindLeastBudget(state_->graph()).bytes; }

Expected<Predictor> Model::Plan(const PlanOptions& options) const {
  if (options.threads < 1 || options.threads > plan::kMaxThreads) {
    return Failure{
        std::string(CodeName(Code::kInvalidArgument)),
        fmt::format("threads is {}; 1 to {} are possible", options.threads, plan::kMaxThreads)};
  }
  plan::PlanRequest request;
  request.budget_bytes = options.memory_bytes;
  request.threads = options.threads;
  request.batch = options.batch;
  Result<plan::Plan> plan = plan::MakePlan(state_->graph(), request);
  if (!plan.ok()) return AsFailure(plan.error());
  auto predictor = std::make_unique<Predictor::State>();
  predictor->model = state_;
  predictor->usage.planned_bytes = plan->pool_bytes;
  Result<std::unique_ptr<runtime::Session>> session =
      predictor->outside.Start(*state_->model, std::move(plan).value());
  if (!session.ok()) return AsFailure(session.error());
  predictor->session = std::move(session).value();
  return Predictor(std::move(predictor));
}

Predictor::Predictor(std::unique_ptr<State> state) : state_(std::move(state)) {}
Predictor::Predictor(Predictor&&) noexcept = default;
Predictor& Predictor::operator=(Predictor&&) noexcept = default;
Predictor::~Predictor() = default;

Expected<std::map<std::string, std::vector<float>>> Predictor::Predict(
    const std::map<std::string, std::span<const float>>& inputs) {
  Status done = state_->Feed(inputs);
  if (done.ok()) done = state_->session->Run();
  if (!done.ok()) return AsFailure(done.error());
  const runtime::RunStats& stats = state_->session->stats();
  state_->usage.pool_peak_bytes = stats.pool_peak_bytes;
  state_->usage.decrypted_bytes = stats.decrypted_bytes;
  std::map<std::string, std::vector<float>> outputs;
  const std::vector<graph::Port>& ports = state_->model->graph().outputs;
  for (uint32_t i = 0; i < ports.size(); ++i) {
    std::vector<float>& values = outputs[ports[i].name];
    values.resize(state_->session->plan().batch * ports[i].shape.Elements());
    const Status read = state_->session->ReadOutput(i, 0, values);
    if (!read.ok()) return AsFailure(read.error());
  }
  return outputs;
}

const Usage& Predictor::usage() const { return state_->usage; }

}  // namespace coracle
