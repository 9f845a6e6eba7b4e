// ort_host: runs an ONNX model in ONNX Runtime, as the reference for parity and speed.

#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "fail.h"
#include "json_channel.h"
#include "marked_run.h"
#include "npy_file.h"
#include "ort_model.h"
#include "stable_random.h"

namespace coracle::reference {
namespace {

enum class HostMode { kOnce, kServe };

struct OrtHostOptions {
  std::string library_path;
  std::string model_path;
  std::string output_directory;
  int thread_count = 1;
  int64_t batch = 1;
  uint64_t repeat = 1;
  uint64_t seed = 1;
  HostMode mode = HostMode::kOnce;
  std::map<std::string, std::string> input_files;
  std::map<std::string, std::string> input_shapes;
};

/// Splits each NAME=VALUE. A name may itself contain '=' only if the value does not.
std::map<std::string, std::string> SplitPairs(const std::vector<std::string>& arguments) {
  std::map<std::string, std::string> pairs;
  for (const std::string& argument : arguments) {
    const size_t equals = argument.find('=');
    if (equals == std::string::npos || equals == 0) {
      FailUsage("'{}': expected NAME=VALUE", argument);
    }
    if (!pairs.emplace(argument.substr(0, equals), argument.substr(equals + 1)).second) {
      FailUsage("'{}': input given twice", argument.substr(0, equals));
    }
  }
  return pairs;
}

OrtHostOptions ParseCommandLine(int argc, char** argv) {
  OrtHostOptions options;
  std::vector<std::string> inputs;
  std::vector<std::string> shapes;
  bool serve = false;
  CLI::App app("Runs an ONNX model in ONNX Runtime: once, or as a server for benches.");
  app.footer(
      "Example:\n  ort_host --library libonnxruntime.so.1 --model m.onnx --input x=x.npy "
      "--output out/");
  app.add_option("--library", options.library_path, "libonnxruntime.so.1")->required();
  app.add_option("--model", options.model_path, "the .onnx file")->required();
  app.add_option("--threads", options.thread_count, "threads inside an operator")
      ->check(CLI::Range(1, 256));
  app.add_option("--batch", options.batch, "random inputs: so many, along axis 0")
      ->check(CLI::Range(1, 1024));
  app.add_option("--input", inputs, "NAME=FILE.npy; repeat for each input")
      ->allow_extra_args(false);
  app.add_option("--shape", shapes, "NAME=1x3x224x224, for a random input with open dimensions")
      ->allow_extra_args(false);
  app.add_option("--seed", options.seed, "seed of random inputs");
  CLI::Option* const output = app.add_option("--output", options.output_directory,
                                             "directory for one .npy for each output");
  CLI::Option* const repeat =
      app.add_option("--repeat", options.repeat, "predictions; the last one's time is told")
          ->check(CLI::Range(uint64_t{1}, kRepeatMax));
  app.add_flag("--serve", serve, "answer 'run' and 'rss' on standard input")
      ->excludes(output)
      ->excludes(repeat);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    std::exit(code == 0 ? 0 : kExitWrongUsage);
  }
  options.mode = serve ? HostMode::kServe : HostMode::kOnce;
  options.input_files = SplitPairs(inputs);
  options.input_shapes = SplitPairs(shapes);
  return options;
}

/// Reads 1x3x224x224.
std::vector<int64_t> ParseShape(const std::string& name, const std::string& text) {
  std::vector<int64_t> shape;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  while (true) {
    int64_t dimension = 0;
    const auto [next, error] = std::from_chars(at, end, dimension);
    if (error != std::errc() || dimension < 1 || (next != end && *next != 'x')) {
      FailUsage("--shape {}={}: expected dimensions such as 1x3x224x224", name, text);
    }
    shape.push_back(dimension);
    if (next == end) return shape;
    at = next + 1;
  }
}

/// Uniform in [-1, 1), of the shape that the model or --shape gives.
NpyArray MakeRandomInput(const OrtInputInfo& info, const OrtHostOptions& options,
                         uint64_t input_index) {
  if (info.element_type != OrtElementType::kFloat32) {
    Fail("input '{}' is not float32: give it with --input {}=FILE.npy", info.name, info.name);
  }
  std::vector<int64_t> shape = info.shape;
  const auto given = options.input_shapes.find(info.name);
  if (given != options.input_shapes.end()) shape = ParseShape(info.name, given->second);
  if (options.batch > 1) {
    if (info.shape.empty() || info.shape[0] >= 0) {
      Fail(
          "the file fixes axis 0 of input '{}' ({}), so ONNX Runtime cannot run a batch of {}: "
          "export the model with an open batch dimension",
          info.name, fmt::join(info.shape, "x"), options.batch);
    }
    shape[0] = options.batch * (shape[0] < 0 ? 1 : shape[0]);
  }
  if (std::any_of(shape.begin(), shape.end(), [](int64_t dimension) { return dimension < 0; })) {
    Fail("input '{}' has open dimensions ({}): give --shape {}=..., or --input {}=FILE.npy",
         info.name, fmt::join(info.shape, "x"), info.name, info.name);
  }
  NpyArray array = MakeNpyArray(NpyType::kFloat32, std::move(shape));
  StableRandom random(options.seed + (input_index << 32));
  for (float& value : array.floats()) value = random.Uniform(-1.0F, 1.0F);
  return array;
}

NpyArray ReadInput(const OrtInputInfo& info, const std::string& path) {
  NpyArray array = ReadNpy(path);
  const NpyType wanted = NpyTypeOf(info.element_type, info.name);
  if (array.type != wanted) {
    Fail("{}: is {}, but input '{}' is {}", path, TypeName(array.type), info.name,
         TypeName(wanted));
  }
  return array;
}

/// Refuses names that are no input of the model.
void CheckInputNames(const OrtModel& model, const std::map<std::string, std::string>& named) {
  std::vector<std::string> known;
  for (const OrtInputInfo& info : model.inputs()) known.push_back(info.name);
  for (const auto& [name, value] : named) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      FailUsage("the model has no input '{}'; it has: {}", name, fmt::join(known, ", "));
    }
  }
}

std::vector<NpyArray> MakeInputs(const OrtModel& model, const OrtHostOptions& options) {
  CheckInputNames(model, options.input_files);
  CheckInputNames(model, options.input_shapes);
  std::vector<NpyArray> arrays;
  for (const OrtInputInfo& info : model.inputs()) {
    const auto file = options.input_files.find(info.name);
    arrays.push_back(file != options.input_files.end()
                         ? ReadInput(info, file->second)
                         : MakeRandomInput(info, options, arrays.size()));
  }
  return arrays;
}

std::string OutputFileName(std::string name) {
  std::replace(name.begin(), name.end(), '/', '_');
  return name + ".npy";
}

/// The predictions; writes the last one's outputs if a directory was given, and one JSON line.
void RunAndReport(OrtModel& model, const OrtHostOptions& options, JsonChannel& channel) {
  const double latency_ms = RunRepeatedly(options.repeat, [&model] { return model.Run(); });
  const std::filesystem::path directory = options.output_directory;
  if (!directory.empty()) {
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (error) Fail("{}: cannot make directory: {}", directory.string(), error.message());
  }
  nlohmann::json report = {{"outputs", nlohmann::json::array()}, {"ms", latency_ms}};
  for (const OrtOutput& output : model.CopyOutputs()) {
    nlohmann::json entry = {{"name", output.name},
                            {"shape", output.array.shape},
                            {"dtype", TypeName(output.array.type)}};
    if (!directory.empty()) {
      const std::filesystem::path path = directory / OutputFileName(output.name);
      WriteNpy(path, output.array);
      entry["file"] = path.string();
    }
    report["outputs"].push_back(entry);
  }
  channel.Write(report);
}

int RunOrtHost(int argc, char** argv) {
  const OrtHostOptions options = ParseCommandLine(argc, argv);
  JsonChannel channel;
  OrtModel model(options.library_path, options.model_path, options.thread_count);
  std::vector<NpyArray> inputs = MakeInputs(model, options);
  for (size_t index = 0; index < inputs.size(); ++index) model.BindInput(index, inputs[index]);
  if (options.mode == HostMode::kServe) {
    Serve(channel, [&model] { return model.Run(); });
  } else {
    RunAndReport(model, options, channel);
  }
  return 0;
}

}  // namespace
}  // namespace coracle::reference

int main(int argc, char** argv) {
  return coracle::reference::RunProgram(coracle::reference::RunOrtHost, argc, argv);
}
