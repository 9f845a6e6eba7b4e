// make_darknet_weights: writes a .weights file of sane random values for a Darknet .cfg, for parity
// and speed.
// Debian ships the networks without weights, and Darknet's own random start leaves every batch-norm
// variance 0, which yields NaN.

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "darknet_library.h"
#include "fail.h"
#include "json_channel.h"
#include "network_filler.h"

namespace coracle::reference {
namespace {

struct MakeWeightsOptions {
  std::string library_path = kDarknetLibrary;
  std::string cfg_path;
  std::string output_path;
  uint64_t seed = 1;
};

MakeWeightsOptions ParseCommandLine(int argc, char** argv) {
  MakeWeightsOptions options;
  CLI::App app("Writes sane random weights for a Darknet network.");
  app.footer(
      "Example:\n  make_darknet_weights --cfg resnet50.cfg --seed 1 --output resnet50.weights");
  app.add_option("--library", options.library_path, "libdarknet.so")->capture_default_str();
  app.add_option("--cfg", options.cfg_path, "the network")->required();
  app.add_option("--seed", options.seed, "same seed, same weights")->capture_default_str();
  app.add_option("--output", options.output_path, "the .weights file")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    std::exit(code == 0 ? 0 : kExitWrongUsage);
  }
  return options;
}

void SaveWeights(const DarknetLibrary& library, network* net, const std::string& path) {
  std::string temporary = path + ".tmp";
  library.save_weights(net, temporary.data());
  std::error_code error;
  std::filesystem::rename(temporary, path, error);
  if (error) Fail("{}: cannot rename: {}", temporary, error.message());
}

int MakeDarknetWeights(int argc, char** argv) {
  const MakeWeightsOptions options = ParseCommandLine(argc, argv);
  JsonChannel channel;
  const DarknetLibrary library = LoadDarknet(options.library_path, 1);
  network* const net = LoadNetwork(library, options.cfg_path, "");
  nlohmann::json heads = nlohmann::json::array();
  for (const HeadLogits& logits : FillNetwork(library, *net, options.seed)) {
    heads.push_back({{"layer", logits.head_index}, {"logit_std", logits.deviation}});
  }
  SaveWeights(library, net, options.output_path);
  channel.Write({{"weights", options.output_path}, {"layers", net->n}, {"heads", heads}});
  return 0;
}

}  // namespace
}  // namespace coracle::reference

int main(int argc, char** argv) {
  return coracle::reference::RunProgram(coracle::reference::MakeDarknetWeights, argc, argv);
}
