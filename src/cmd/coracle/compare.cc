// `coracle compare`: two sealed models over the same inputs, their answers beside each other.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/units.h"
#include "cmd/coracle/verbs.h"
#include "cmd/support/agreement.h"
#include "cmd/support/compare_worker.h"
#include "cmd/support/latencies.h"
#include "cmd/support/scratch_folder.h"
#include "cmd/support/sealed_file.h"
#include "plan/plan.h"
#include "vision/difference.h"
#include "vision/input_folder.h"
#include "vision/npy.h"

namespace coracle::cmd {
namespace {

struct CompareOptions {
  std::string path_a;
  std::string path_b;
  std::string key_a;
  std::string key_b;
  std::string inputs;
  std::string memory = "unlimited";
  uint32_t threads = 1;
  uint32_t repeat = 1;
};

/// One of the two models and what was measured of it.
struct Side {
  std::string path;
  std::unique_ptr<ScratchFolder> folder;
  std::unique_ptr<ComparedModel> model;
  uint64_t file_bytes = 0;
  Latencies latencies;
  Json memory;
};

Result<Side> StartSide(const CompareOptions& options, const std::string& path,
                       const std::string& key) {
  Side side;
  side.path = path;
  std::error_code failure;
  side.file_bytes = std::filesystem::file_size(path, failure);
  TRY_ASSIGN(side.folder, ScratchFolder::Make());
  Result<std::unique_ptr<ComparedModel>> model =
      ComparedModel::Start({path, key, options.memory, options.threads, side.folder->path()});
  if (!model.ok()) return OfFile(path, model.error());
  side.model = std::move(model).value();
  return side;
}

/// Errors: kInvalidArgument unless both give the same outputs for one input.
Status CheckPorts(const CompareOptions& options, const graph::Graph& a, const graph::Graph& b) {
  const auto refuse = [&](const std::string& why) {
    return Error{Code::kInvalidArgument, fmt::format("{} and {} cannot be compared: {}",
                                                     options.path_a, options.path_b, why)};
  };
  if (a.inputs.size() != 1 || b.inputs.size() != 1) return refuse("not both have one input");
  if (!(a.inputs[0].shape == b.inputs[0].shape)) {
    return refuse(fmt::format("their inputs are {} and {}", a.inputs[0].shape.ToString(),
                              b.inputs[0].shape.ToString()));
  }
  if (a.outputs.size() != b.outputs.size()) return refuse("they differ in outputs");
  for (size_t i = 0; i < a.outputs.size(); ++i) {
    if (a.outputs[i].name != b.outputs[i].name || !(a.outputs[i].shape == b.outputs[i].shape)) {
      return refuse(fmt::format("output '{}' is {} in one, '{}' {} in the other", a.outputs[i].name,
                                a.outputs[i].shape.ToString(), b.outputs[i].name,
                                b.outputs[i].shape.ToString()));
    }
  }
  return {};
}

/// The outputs of one model's last prediction.
Result<std::vector<float>> ReadOutput(const Side& side, const graph::Port& port) {
  std::string name = port.name;
  std::ranges::replace(name, '/', '_');
  TRY_ASSIGN(const vision::NpyReader reader,
             vision::NpyReader::Open(fmt::format("{}/{}.npy", side.folder->path(), name)));
  std::vector<float> values(port.shape.Elements());
  TRY(reader.Read(0, values));
  return values;
}

/// What all predictions so far add up to.
class Tally {
 public:
  explicit Tally(const std::vector<graph::Port>& outputs)
      : ports_(outputs), differences_(outputs.size()), top_(outputs.at(0).shape) {}

  Status Add(const Side& a, const Json& answer_a, const Side& b, const Json& answer_b) {
    for (size_t i = 0; i < ports_.size(); ++i) {
      TRY_ASSIGN(const std::vector<float> values_a, ReadOutput(a, ports_[i]));
      TRY_ASSIGN(const std::vector<float> values_b, ReadOutput(b, ports_[i]));
      differences_[i].Add(values_a, values_b);
      if (i == 0 && top_.applies()) top_.Add(values_a, values_b);
      answers_.Add(answer_a["outputs"][i], answer_b["outputs"][i]);
    }
    return {};
  }

  void Describe(Report& report) const {
    const Json answers = answers_.ToJson();
    report.json.update(answers);
    report.text += answers_.ToText();
    if (answers.empty() && top_.applies()) DescribeTop(report);
    report.json["outputs"] = Json::array();
    for (size_t i = 0; i < ports_.size(); ++i) {
      const double rms = differences_[i].RelativeRms();
      const double largest = differences_[i].RelativeLargest();
      report.json["outputs"].push_back(
          {{"name", ports_[i].name}, {"relative_error", rms}, {"largest_error", largest}});
      report.text += fmt::format("output {}: {:.3f} % apart, at most {:.3f} % of the largest\n",
                                 ports_[i].name, 100 * rms, 100 * largest);
    }
  }

 private:
  void DescribeTop(Report& report) const {
    const double share = static_cast<double>(top_.agreeing()) / static_cast<double>(top_.rows());
    report.json["top1_agreement"] = share;
    report.text += fmt::format("the same top 1 in {} of {} ({:.1f} %)\n", top_.agreeing(),
                               top_.rows(), 100 * share);
  }

  const std::vector<graph::Port>& ports_;
  std::vector<vision::Difference> differences_;
  vision::TopAgreement top_;
  AnswerAgreement answers_;
};

/// Every input through both models, which take turns; the first input once more before, unmeasured,
/// to warm up.
Status RunAll(const std::vector<std::string>& inputs, uint32_t repeat, Side& a, Side& b,
              Tally& tally) {
  TRY(a.model->Predict(inputs.front()));
  TRY(b.model->Predict(inputs.front()));
  ProgressLine progress("comparing", ProgressUnit::kInputs);
  for (size_t i = 0; i < inputs.size(); ++i) {
    Json answer_a;
    Json answer_b;
    for (uint32_t turn = 0; turn < repeat; ++turn) {
      TRY_ASSIGN(answer_a, a.model->Predict(inputs[i]));
      TRY_ASSIGN(answer_b, b.model->Predict(inputs[i]));
      a.latencies.ms.push_back(answer_a["ms"].get<double>());
      b.latencies.ms.push_back(answer_b["ms"].get<double>());
    }
    TRY(tally.Add(a, answer_a, b, answer_b));
    progress.Update(i + 1, inputs.size());
  }
  TRY_ASSIGN(a.memory, a.model->Memory());
  TRY_ASSIGN(b.memory, b.model->Memory());
  return {};
}

Json SideJson(const Side& side) {
  return {{"sealed_file", side.path},
          {"file_bytes", side.file_bytes},
          {"pool_bytes", side.memory["pool_bytes"]},
          {"resident_bytes", side.memory["resident_bytes"]},
          {"median_ms", side.latencies.Median()},
          {"min_ms", side.latencies.Min()}};
}

std::string SideRow(const char* name, const Side& side) {
  return fmt::format("{:<2} {:>10} {:>10} {:>10} {:>10.2f} {:>10.2f}  {}\n", name,
                     FormatBytes(side.file_bytes),
                     FormatBytes(side.memory["pool_bytes"].get<uint64_t>()),
                     FormatBytes(side.memory["resident_bytes"].get<uint64_t>()),
                     side.latencies.Median(), side.latencies.Min(), side.path);
}

/// Median over turns of B's time over A's.
double MedianRatio(const Side& a, const Side& b) {
  Latencies ratios;
  for (size_t i = 0; i < a.latencies.ms.size(); ++i) {
    ratios.ms.push_back(b.latencies.ms[i] / a.latencies.ms[i]);
  }
  return ratios.Median();
}

Result<Report> Compare(const CompareOptions& options) {
  const std::string& key_b = options.key_b.empty() ? options.key_a : options.key_b;
  TRY_ASSIGN(const OpenedModel opened_a,
             OpenSealed(options.path_a, options.key_a, host::BlobAccess::kView));
  TRY_ASSIGN(const OpenedModel opened_b,
             OpenSealed(options.path_b, key_b, host::BlobAccess::kView));
  const graph::Graph& graph = opened_a.model->manifest().graph;
  TRY(CheckPorts(options, graph, opened_b.model->manifest().graph));
  TRY_ASSIGN(const std::vector<std::string> inputs, vision::ListInputFolder(options.inputs));
  TRY_ASSIGN(Side a, StartSide(options, options.path_a, options.key_a));
  TRY_ASSIGN(Side b, StartSide(options, options.path_b, key_b));
  Tally tally(graph.outputs);
  TRY(RunAll(inputs, options.repeat, a, b, tally));
  Report report;
  report.json["inputs"] = inputs.size();
  report.text = fmt::format("{} input{}\n", inputs.size(), inputs.size() == 1 ? "" : "s");
  tally.Describe(report);
  report.json["a"] = SideJson(a);
  report.json["b"] = SideJson(b);
  report.json["time_ratio"] = MedianRatio(a, b);
  report.text += fmt::format("{:<2} {:>10} {:>10} {:>10} {:>10} {:>10}\n", "", "file", "pool",
                             "resident", "median ms", "min ms");
  report.text += SideRow("A", a) + SideRow("B", b);
  report.text += fmt::format("B takes {:.2f} times as long as A\n", MedianRatio(a, b));
  return report;
}

}  // namespace

void AddCompare(CLI::App& app, Console& console) {
  AddCompareWorker(app, console);
  CLI::App* const verb = app.add_subcommand(
      "compare", "Run two sealed models over the same inputs and say how far they agree");
  const auto options = std::make_shared<CompareOptions>();
  verb->add_option("A", options->path_a, "The sealed model to compare with")->required();
  verb->add_option("B", options->path_b, "The other one")->required();
  verb->add_option("--key", options->key_a, "The owner key")->required();
  verb->add_option("--key-b", options->key_b, "The owner key of B (default: that of A)");
  verb->add_option("--inputs", options->inputs,
                   "A folder of images, .npy or .raw files: each is an input")
      ->required()
      ->type_name("DIR");
  verb->add_option("--memory", options->memory, "Secure memory of each: 8MiB, ..., unlimited")
      ->capture_default_str();
  verb->add_option("--threads", options->threads, "Most workers that a step may use")
      ->check(CLI::Range(1U, plan::kMaxThreads))
      ->capture_default_str();
  verb->add_option("--repeat", options->repeat, "Time each input so many times")
      ->check(CLI::Range(1U, 1000U))
      ->capture_default_str();
  verb->footer(
      "Example:\n  coracle compare fp32.sealed int8.sealed --key owner.key --inputs photos/ "
      "--memory 8MiB");
  console.Register(verb, [options] { return Compare(*options); });
}

}  // namespace coracle::cmd
