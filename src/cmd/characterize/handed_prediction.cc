#include "cmd/characterize/handed_prediction.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <span>
#include <utility>

#include "cmd/characterize/plan_codec.h"
#include "cmd/support/console.h"
#include "cmd/support/feeding.h"
#include "cmd/support/page_file.h"
#include "host/posix/read_file.h"
#include "vision/input_folder.h"
#include "vision/npy.h"

namespace coracle::cmd {
namespace {

constexpr uint64_t kFileBytesMax = 256U << 20;

Result<HandedPrediction> FromJson(const Json& json) {
  HandedPrediction handed;
  handed.model = json.at("model");
  handed.key = json.at("key");
  handed.plan = DecodePlan(json.at("plan"));
  handed.inputs = json.at("inputs").get<std::vector<std::string>>();
  handed.sources = json.at("sources").get<std::vector<std::string>>();
  handed.predictions = json.at("predictions");
  return handed;
}

/// Of FILE or NAME=FILE.
std::string FileOf(const std::string& argument) {
  std::error_code ignored;
  if (std::filesystem::exists(argument, ignored)) return argument;
  return argument.substr(argument.find('=') + 1);
}

}  // namespace

Status HandedPrediction::Write(const std::string& path) const {
  const Json json = {{"model", model},   {"key", key},         {"plan", EncodePlan(plan)},
                     {"inputs", inputs}, {"sources", sources}, {"predictions", predictions}};
  return WritePage(path, json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

Result<HandedPrediction> HandedPrediction::Read(const std::string& path) {
  TRY_ASSIGN(const std::vector<std::byte> bytes, host::ReadWholeFile(path, kFileBytesMax));
  const auto* const text = reinterpret_cast<const char*>(bytes.data());
  try {
    return FromJson(Json::parse(text, text + bytes.size()));
  } catch (const Json::exception& error) {
    return Error{Code::kMalformed, fmt::format("{}: {}", path, error.what())};
  }
}

Status CheckSourcesAreOlder(const HandedPrediction& handed) {
  for (const std::string& source : handed.sources) {
    for (const std::string& input : handed.inputs) {
      std::error_code ignored;
      if (std::filesystem::last_write_time(FileOf(source), ignored) >
          std::filesystem::last_write_time(FileOf(input), ignored)) {
        return Error{Code::kInvalidArgument,
                     fmt::format("{} was changed after it had been read", FileOf(source))};
      }
    }
  }
  return {};
}

Result<std::vector<std::string>> WriteTensors(const seal::Manifest& manifest,
                                              const std::vector<std::string>& inputs,
                                              const std::string& folder) {
  const std::vector<graph::Port>& ports = manifest.graph.inputs;
  std::vector<std::vector<float>> tensors;
  for (const graph::Port& port : ports) tensors.emplace_back(port.shape.Elements());
  if (inputs.empty()) {
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (std::vector<float>& tensor : tensors) {
      std::ranges::generate(tensor, [&] { return uniform(random); });
    }
  } else {
    TRY_ASSIGN(Feed feed, Feed::Parse(manifest, inputs, /*batch=*/1));
    std::vector<Feed::Picture> pictures = feed.Pictures();
    const auto keep = [&](uint32_t input, uint64_t first, std::span<const float> values) {
      std::ranges::copy(values, tensors[input].begin() + static_cast<ptrdiff_t>(first));
    };
    TRY(feed.Fill(Feed::InputSink(keep), pictures));
    if (std::ranges::all_of(inputs, vision::HasTensorName)) return inputs;
  }
  std::vector<std::string> files;
  for (size_t i = 0; i < ports.size(); ++i) {
    const std::string path = fmt::format("{}/input_{}.npy", folder, i);
    TRY_ASSIGN(vision::NpyWriter writer, vision::NpyWriter::Create(path, ports[i].shape));
    TRY(writer.Append(tensors[i]));
    TRY(writer.Finish());
    files.push_back(fmt::format("{}={}", ports[i].name, path));
  }
  return files;
}

}  // namespace coracle::cmd
