// darknet_host: runs a Darknet model in libdarknet, as the reference for parity and speed.

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "darknet_library.h"
#include "fail.h"
#include "json_channel.h"
#include "marked_run.h"
#include "npy_file.h"
#include "stable_random.h"

namespace coracle::reference {
namespace {

enum class HostMode { kOnce, kServe };

struct DarknetHostOptions {
  std::string library_path = kDarknetLibrary;
  std::string cfg_path;
  std::string weights_path;
  std::string input_path;
  std::string output_directory;
  int thread_count = 1;
  uint64_t repeat = 1;
  RandomStart random_start = RandomStart::kDarknets;
  HostMode mode = HostMode::kOnce;
};

DarknetHostOptions ParseCommandLine(int argc, char** argv) {
  DarknetHostOptions options;
  bool serve = false;
  bool quick_start = false;
  CLI::App app("Runs a Darknet model in libdarknet: once, or as a server for benches.");
  app.footer(
      "Example:\n  darknet_host --cfg yolov3-tiny.cfg --weights w.weights --input x.npy --output "
      "out/");
  app.add_option("--library", options.library_path, "libdarknet.so")->capture_default_str();
  app.add_option("--cfg", options.cfg_path, "the network")->required();
  app.add_option("--weights", options.weights_path, "its weights")->required();
  app.add_option("--threads", options.thread_count,
                 "OMP_NUM_THREADS; a Darknet built without OpenMP uses one thread")
      ->check(CLI::Range(1, 256));
  app.add_option("--input", options.input_path,
                 "float32 1x3xHxW of the network's size, preprocessed; random if absent");
  CLI::Option* const output = app.add_option("--output", options.output_directory,
                                             "directory for output.npy and layer_INDEX_TYPE.npy");
  CLI::Option* const repeat =
      app.add_option("--repeat", options.repeat, "predictions; the last one's time is told")
          ->check(CLI::Range(uint64_t{1}, kRepeatMax));
  app.add_flag("--serve", serve, "answer 'run' and 'rss' on standard input")
      ->excludes(output)
      ->excludes(repeat);
  app.add_flag("--quick-start", quick_start,
               "give new weights no random numbers, since the file's take their place");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    std::exit(code == 0 ? 0 : kExitWrongUsage);
  }
  options.mode = serve ? HostMode::kServe : HostMode::kOnce;
  if (quick_start) options.random_start = RandomStart::kQuick;
  return options;
}

NpyArray MakeInput(const network& net, const std::string& path) {
  const std::vector<int64_t> wanted = net.h > 0 ? std::vector<int64_t>{1, net.c, net.h, net.w}
                                                : std::vector<int64_t>{1, net.inputs};
  if (path.empty()) {
    NpyArray array = MakeNpyArray(NpyType::kFloat32, wanted);
    StableRandom random(1);
    for (float& value : array.floats()) value = random.Uniform(0.0F, 1.0F);
    return array;
  }
  NpyArray array = ReadNpy(path);
  if (array.type != NpyType::kFloat32 || array.shape != wanted) {
    Fail("{}: expected float32 {}x{}x{}x{}, the size in the cfg", path, 1, net.c, net.h, net.w);
  }
  return array;
}

double Predict(const DarknetLibrary& library, network* net, NpyArray& input) {
  const auto start = std::chrono::steady_clock::now();
  library.network_predict(net, input.floats().data());
  const auto end = std::chrono::steady_clock::now();
  return std::chrono::duration<double, std::milli>(end - start).count();
}

/// Writes one layer's output; returns its entry in the report.
nlohmann::json WriteLayer(const layer& source, const std::string& name,
                          const std::filesystem::path& directory) {
  NpyArray array = MakeNpyArray(NpyType::kFloat32, OutputShape(source));
  std::memcpy(array.bytes.data(), source.output, array.bytes.size());
  nlohmann::json entry = {{"name", name}, {"shape", array.shape}};
  if (!directory.empty()) {
    const std::filesystem::path path = directory / (name + ".npy");
    WriteNpy(path, array);
    entry["file"] = path.string();
  }
  return entry;
}

/// Index of the last layer that is not a cost, whose output network_predict returns.
int LastOutputLayer(const network& net) {
  int index = net.n - 1;
  while (index > 0 && net.layers[index].type == COST) --index;
  return index;
}

nlohmann::json WriteOutputs(const network& net, const std::filesystem::path& directory) {
  if (!directory.empty()) {
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (error) Fail("{}: cannot make directory: {}", directory.string(), error.message());
  }
  nlohmann::json entries = nlohmann::json::array();
  entries.push_back(WriteLayer(net.layers[LastOutputLayer(net)], "output", directory));
  for (int index = 0; index < net.n; ++index) {
    const bool feeds_head = index + 1 < net.n && IsHead(net.layers[index + 1]);
    const layer& source = net.layers[index];
    if (!IsHead(source) && !feeds_head) continue;
    const std::string name = fmt::format("layer_{}_{}", index, LayerTypeName(source.type));
    entries.push_back(WriteLayer(source, name, directory));
  }
  return entries;
}

int RunDarknetHost(int argc, char** argv) {
  const DarknetHostOptions options = ParseCommandLine(argc, argv);
  JsonChannel channel;
  const DarknetLibrary library =
      LoadDarknet(options.library_path, options.thread_count, options.random_start);
  network* const net = LoadNetwork(library, options.cfg_path, options.weights_path);
  NpyArray input = MakeInput(*net, options.input_path);
  if (options.mode == HostMode::kServe) {
    Serve(channel, [&] { return Predict(library, net, input); });
    return 0;
  }
  const double latency_ms =
      RunRepeatedly(options.repeat, [&] { return Predict(library, net, input); });
  channel.Write({{"outputs", WriteOutputs(*net, options.output_directory)}, {"ms", latency_ms}});
  return 0;
}

}  // namespace
}  // namespace coracle::reference

int main(int argc, char** argv) {
  return coracle::reference::RunProgram(coracle::reference::RunDarknetHost, argc, argv);
}
