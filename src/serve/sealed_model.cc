#include "serve/sealed_model.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>
#include <vector>

#include "api/posix_outside.h"
#include "base/check.h"
#include "runtime/ports.h"
#include "runtime/session.h"
#include "serve/secure_bytes.h"
#include "serve/session_output.h"

namespace coracle::serve {
namespace {

/// The tensors of all inputs of a convoy lie one behind the other; a place is one input's share of
/// the graph's inputs, as SessionOutput is of its outputs.
class SessionRunner final : public Runner {
 public:
  SessionRunner(const graph::Graph& graph, std::unique_ptr<runtime::Session> session)
      : graph_(graph), session_(std::move(session)) {
    const uint32_t batch = session_->plan().batch;
    places_.reserve(batch);
    outputs_.reserve(batch);
    for (uint32_t index = 0; index < batch; ++index) {
      places_.emplace_back(*this, index);
      outputs_.emplace_back(*session_, graph_, index);
    }
  }

  InputSink& input(uint32_t index) override { return places_.at(index); }
  const OutputSource& output(uint32_t index) const override { return outputs_.at(index); }

  Status Run() override {
    for (Place& place : places_) place.ZeroWhatIsMissing();
    Status done = session_->Run();
    for (Place& place : places_) place.Begin();
    return done;
  }

 private:
  class Place final : public InputSink {
   public:
    Place(SessionRunner& runner, uint32_t index)
        : runner_(runner), index_(index), written_(runner.graph_.inputs.size()) {}

    void Begin() { std::ranges::fill(written_, 0); }

    void Write(uint32_t input, uint64_t first, std::span<const float> values) override {
      const uint64_t elements = runner_.graph_.inputs.at(input).shape.Elements();
      CORACLE_CHECK(first <= elements && values.size() <= elements - first);
      written_[input] += values.size();
      runner_.session_->WriteInput(input, index_ * elements + first, values);
    }

    /// Nobody may read what an earlier prediction left there, and rows that are kept outside do not
    /// open unless they were sealed.
    void ZeroWhatIsMissing() {
      for (uint32_t input = 0; input < written_.size(); ++input) {
        const graph::Port& port = runner_.graph_.inputs[input];
        if (written_[input] >= port.shape.Elements()) continue;
        constexpr std::array<float, 1024> kZeros{};
        const Status written = runtime::ForEachRowPiece(
            port, kZeros.size(), [&](uint64_t first, uint64_t count) -> Status {
              Write(input, first, std::span(kZeros).first(count));
              return {};
            });
        CORACLE_CHECK(written.ok());
      }
    }

   private:
    SessionRunner& runner_;
    const uint32_t index_;
    std::vector<uint64_t> written_;  ///< elements, by input, since the last run
  };

  const graph::Graph& graph_;
  std::unique_ptr<runtime::Session> session_;
  std::vector<Place> places_;
  std::vector<SessionOutput> outputs_;
};

class SealedServedModel final : public ServedModel {
 public:
  SealedServedModel(std::string name, const seal::SealedModel& model,
                    const std::vector<PlannedChoice>& front)
      : name_(std::move(name)), model_(model) {
    loaded_bytes_ = ManifestBytes(model.manifest());
    choices_.reserve(front.size());
    plans_.reserve(front.size());
    for (const PlannedChoice& planned : front) {
      choices_.push_back(planned.choice);
      plans_.push_back(planned.plan);  // a copy: without what the planner reserved
      loaded_bytes_ += PlanBytes(plans_.back());
    }
  }

  const std::string& name() const override { return name_; }
  std::span<const PlanChoice> choices() const override { return choices_; }
  uint64_t loaded_bytes() const override { return loaded_bytes_; }

  Result<std::unique_ptr<Runner>> Start(uint32_t choice) override {
    std::unique_ptr<runtime::Session> session;
    {
      // The first session that keeps rows outside makes the key for all.
      const std::lock_guard lock(starting_);
      TRY_ASSIGN(session, outside_.Start(model_, plans_.at(choice)));
    }
    return std::unique_ptr<Runner>(
        std::make_unique<SessionRunner>(model_.manifest().graph, std::move(session)));
  }

 private:
  const std::string name_;
  const seal::SealedModel& model_;
  std::vector<PlanChoice> choices_;
  std::vector<plan::Plan> plans_;  // by choice
  uint64_t loaded_bytes_ = 0;
  std::mutex starting_;
  PosixOutside outside_;
};

}  // namespace

Result<std::unique_ptr<ServedModel>> ServeSealedModel(std::string name,
                                                      const seal::SealedModel& model,
                                                      const FrontSettings& settings) {
  const seal::Manifest& manifest = model.manifest();
  TRY_ASSIGN(const std::vector<PlannedChoice> front,
             PlanFront(manifest.graph, ManifestBytes(manifest), settings));
  return std::unique_ptr<ServedModel>(
      std::make_unique<SealedServedModel>(std::move(name), model, front));
}

}  // namespace coracle::serve
