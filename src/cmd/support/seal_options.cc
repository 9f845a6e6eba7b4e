#include "cmd/support/seal_options.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

namespace coracle::cmd {
namespace {

Result<std::vector<int64_t>> ParseDimensions(std::string_view text) {
  std::vector<int64_t> dims;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    int64_t dim = 0;
    const auto parsed = std::from_chars(at, end, dim);
    if (parsed.ec != std::errc() || dim <= 0) break;
    dims.push_back(dim);
    if (parsed.ptr == end) return dims;
    if (*parsed.ptr != 'x' && *parsed.ptr != ',') break;
    at = parsed.ptr + 1;
  }
  return Error{
      Code::kInvalidArgument,
      fmt::format("--shape: '{}' are not dimensions; write for example input=1x3x224x224", text)};
}

}  // namespace

std::vector<std::string> SealOptions::ToArguments() const {
  std::vector<std::string> arguments = {
      "--weights", weights, "--max-error", fmt::format("{}", error_max), "--compress", compress};
  const auto add = [&arguments](const char* option, const std::string& value) {
    if (value.empty()) return;
    arguments.emplace_back(option);
    arguments.push_back(value);
  };
  if (storage_gbps > 0) add("--storage-gbps", fmt::format("{}", storage_gbps));
  add("--error-inputs", error_inputs);
  add("--weights-file", weights_file);
  for (const std::string& shape : shapes) add("--shape", shape);
  add("--labels", labels);
  add("--preprocess", preprocess);
  add("--decode", decode);
  add("--name", name);
  add("--model-version", version);
  for (const uint32_t layer : output_layers) add("--output-layer", std::to_string(layer));
  if (exact) arguments.emplace_back("--exact");
  add("--quantize-activations", quantize_activations);
  if (!quantize_activations.empty()) add("--calibration", calibration);
  return arguments;
}

Result<std::map<std::string, std::vector<int64_t>>> SealOptions::ParseShapes() const {
  std::map<std::string, std::vector<int64_t>> parsed;
  for (const std::string& shape : shapes) {
    const size_t equals = shape.rfind('=');
    if (equals == std::string::npos || equals == 0) {
      return Error{
          Code::kInvalidArgument,
          fmt::format("--shape: '{}' names no input; write for example input=1x3x224x224", shape)};
    }
    TRY_ASSIGN(parsed[shape.substr(0, equals)],
               ParseDimensions(std::string_view(shape).substr(equals + 1)));
  }
  return parsed;
}

void AddSealOptions(CLI::App* verb, SealOptions& options) {
  verb->add_option(
          "--weights", options.weights,
          "How weights are stored: fp32; int8 (8 bits, a scale an output channel); int4 (fully "
          "connected layers in 4 bits, a scale for 32 weights, the others int8); auto (int8 "
          "where opening fewer bytes pays, within --max-error)")
      ->check(CLI::IsMember({"fp32", "int8", "int4", "auto"}))
      ->capture_default_str();
  verb->add_option(
          "--max-error", options.error_max,
          "--weights auto: how far quantised weights may move the outputs, as a share of their "
          "magnitude; estimated from the weights, or measured on --error-inputs")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  verb->add_option("--error-inputs", options.error_inputs,
                   "--max-error: a folder of inputs (images or .npy) to measure the error on");
  verb->add_option("--compress", options.compress,
                   "Entropy coding of weights: none, max (the smallest file) or auto (what is read "
                   "and opened sooner for it, see --storage-gbps)")
      ->check(CLI::IsMember({"none", "auto", "max"}))
      ->capture_default_str();
  verb->add_option("--storage-gbps", options.storage_gbps,
                   "--compress auto: how fast the file is read where the model will run, in GB/s "
                   "(default: as local memory, where coding never pays)")
      ->check(CLI::Range(0.0001, 1000.0));
  verb->add_option("--weights-file", options.weights_file,
                   "Darknet: the .weights file of the .cfg");
  verb->add_option("--shape", options.shapes, "ONNX: fix an input's dimensions, NAME=1x3x224x224")
      ->allow_extra_args(false);
  verb->add_option("--labels", options.labels,
                   "Text file with one label a line, sealed with the model");
  verb->add_option("--preprocess", options.preprocess,
                   "How an image becomes the input: imagenet, tf, caffe, darknet, ocr, ocr-det, "
                   "none or FILE.json");
  verb->add_option("--decode", options.decode,
                   "How outputs become an answer: topk, ctc:KEYS, yolo, region, heatmap");
  verb->add_option("--name", options.name, "The owner's name for the model (default: the file's)");
  verb->add_option("--model-version", options.version, "The owner's version text");
  verb->add_option("--output-layer", options.output_layers,
                   "Darknet: give this layer's result as an output too")
      ->allow_extra_args(false);
  verb->add_flag("--exact", options.exact,
                 "Convolutions as they are defined, none by Winograd's faster algorithms");
  verb->add_option("--quantize-activations", options.quantize_activations,
                   "Compute on 8-bit integers, their ranges found on the images or .npy files of "
                   "this folder")
      ->type_name("DIR");
  verb->add_option("--calibration", options.calibration,
                   "How --quantize-activations finds ranges: minmax, or percentile (a few outliers "
                   "beyond 99.99 % may be cut off)")
      ->check(CLI::IsMember({"minmax", "percentile"}))
      ->capture_default_str();
}

}  // namespace coracle::cmd
