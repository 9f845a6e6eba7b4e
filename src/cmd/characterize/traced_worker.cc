// The hidden verb that predicts under the tracer and tells it, step by step, what lies in the pool
// and, action by action, which layer it works for.
#include <malloc.h>
#include <sys/prctl.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/trace_note.h"
#include "cmd/characterize/handed_prediction.h"
#include "cmd/characterize/pool_regions.h"
#include "cmd/characterize/sealed.h"
#include "cmd/support/epc_mark.h"
#include "cmd/support/feeding.h"
#include "cmd/support/prediction.h"
#include "cmd/support/sealed_file.h"
#include "runtime/run_observer.h"

namespace coracle::cmd {
namespace {

void Note(TraceNote note, uint64_t a, uint64_t b) {
  (void)::prctl(kTraceNoteCall, static_cast<uint64_t>(note), a, b, uint64_t{0});
}

void NoteRegions(std::span<const TraceRegion> regions) {
  Note(TraceNote::kRegions, reinterpret_cast<uint64_t>(regions.data()), regions.size());
}

/// Null: no layer.
void NoteLayer(const char* name) { Note(TraceNote::kLayer, reinterpret_cast<uint64_t>(name), 0); }

/// Nothing is looked for or allocated while a prediction runs.
class TellingObserver final : public runtime::RunObserver {
 public:
  TellingObserver(const graph::Graph& graph, const plan::Plan& plan) : graph_(graph), plan_(plan) {
    for (const graph::Node& node : graph.nodes) {
      for (const graph::ChunkDescriptor& chunk : node.weights.chunks) {
        if (Position(chunk.index) >= chunk_layers_.size()) {
          chunk_layers_.resize(Position(chunk.index) + 1);
        }
        chunk_layers_[Position(chunk.index)] = node.name.c_str();
      }
    }
  }

  void Feeding() const { NoteRegions(regions_->BeforeSteps()); }
  void Done() const {
    NoteLayer(nullptr);
    NoteRegions(regions_->AfterSteps());
  }

  void PoolReserved(std::span<const std::byte> pool) override {
    regions_.emplace(graph_, plan_, pool.data());
  }
  void StepComes(size_t step) override {
    const std::span<const TraceRegion> regions = regions_->DuringStep(step);
    if (!regions.empty()) NoteRegions(regions);
  }
  void ChunkComes(const graph::ChunkDescriptor& chunk) override {
    NoteLayer(chunk_layers_[Position(chunk.index)]);
  }
  void ActionComes(const plan::Step& step, plan::ActionKind kind, uint32_t index) override {
    NoteLayer(kind == plan::ActionKind::kCompute
                  ? NameOf(step.parts[index])
                  : LayerOfRows(step, kind, step.windows[index].tensor));
  }

 private:
  const char* NameOf(const plan::Part& part) const { return graph_.node(part.node).name.c_str(); }

  /// Rows are opened for the first layer that reads them, and sealed for the one that made them.
  const char* LayerOfRows(const plan::Step& step, plan::ActionKind kind,
                          graph::TensorIndex tensor) const {
    for (const plan::Part& part : step.parts) {
      const graph::Node& node = graph_.node(part.node);
      const bool uses = kind == plan::ActionKind::kSeal
                            ? node.output == tensor
                            : std::ranges::find(node.inputs, tensor) != node.inputs.end();
      if (uses) return node.name.c_str();
    }
    return nullptr;
  }

  const graph::Graph& graph_;
  const plan::Plan& plan_;
  std::vector<const char*> chunk_layers_;  ///< by ChunkIndex
  std::optional<PoolRegions> regions_;
};

Result<Report> Predict(const std::string& path) {
  TRY_ASSIGN(const HandedPrediction handed, HandedPrediction::Read(path));
  TRY(CheckSourcesAreOlder(handed));
  TRY_ASSIGN(const OpenedModel opened,
             OpenSealed(handed.model, handed.key, host::BlobAccess::kView));
  const seal::Manifest& manifest = opened.model->manifest();
  TRY_ASSIGN(Feed feed, Feed::Parse(manifest, handed.inputs, /*batch=*/1));
  std::vector<Feed::Picture> pictures = feed.Pictures();
  TellingObserver observer(manifest.graph, handed.plan);
  malloc_trim(0);  // as Prediction does before it reserves the pool
  TRY_ASSIGN(const auto prediction, Prediction::Make(opened, handed.plan, &observer));
  runtime::Session& session = prediction->session();
  for (uint32_t i = 0; i < handed.predictions; ++i) {
    NoteForEpcrun(i, PredictionEdge::kBegin);
    observer.Feeding();
    TRY(feed.Fill(session, pictures));
    const Status done = session.Run();
    observer.Done();
    NoteForEpcrun(i, PredictionEdge::kEnd);
    if (!done.ok()) return OfFile(handed.model, done.error());
  }
  return Report{};
}

}  // namespace

void AddTracedWorker(CLI::App& app, Console& console) {
  CLI::App* const verb =
      app.add_subcommand("characterize-worker", "A sealed model of `coracle characterize`")
          ->group("");
  const auto path = std::make_shared<std::string>();
  verb->add_option("HANDED", *path, "What to predict: a file that characterize wrote")->required();
  console.Register(verb, [path] { return Predict(*path); });
}

}  // namespace coracle::cmd
