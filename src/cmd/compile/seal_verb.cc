#include "cmd/compile/seal_verb.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "cmd/compile/quantization_text.h"
#include "cmd/support/describe.h"
#include "cmd/support/seal_options.h"
#include "cmd/support/sealed_file.h"
#include "compile/compile.h"
#include "compile/quantize_model.h"
#include "compile/weight_error.h"
#include "host/posix/atomic_file.h"
#include "host/posix/clock.h"
#include "host/posix/entropy.h"
#include "host/posix/read_file.h"
#include "runtime/measure_rates.h"
#include "vision/decode.h"
#include "vision/preprocess.h"

namespace coracle::cmd {
namespace {

struct SealArguments {
  std::string model;
  std::string output;
  std::string key;
  SealOptions options;
};

constexpr uint64_t kMaxTextFileBytes = 16 << 20;

class FileSink final : public seal::Sink {
 public:
  explicit FileSink(host::AtomicFile& file) : file_(file) {}
  Status WriteAt(uint64_t offset, Bytes bytes) override {
    bytes_ = std::max(bytes_, offset + bytes.size());
    return file_.WriteAt(offset, bytes);
  }
  uint64_t bytes() const { return bytes_; }

 private:
  host::AtomicFile& file_;
  uint64_t bytes_ = 0;
};

Result<std::string> ReadText(const std::string& path) {
  TRY_ASSIGN(const std::vector<std::byte> bytes, host::ReadWholeFile(path, kMaxTextFileBytes));
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

/// One label a line; a final newline adds none.
Result<std::vector<std::string>> ReadLabels(const std::string& path) {
  TRY_ASSIGN(const std::string text, ReadText(path));
  std::vector<std::string> labels;
  size_t start = 0;
  while (start < text.size()) {
    const size_t end = std::min(text.find('\n', start), text.size());
    std::string line = text.substr(start, end - start);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    labels.push_back(std::move(line));
    start = end + 1;
  }
  return labels;
}

Result<std::string> PreprocessSpec(const std::string& option, const graph::Graph& graph) {
  if (option.empty()) return std::string();
  if (graph.inputs.size() != 1) {
    return Error{Code::kInvalidArgument,
                 fmt::format("--preprocess: the model has {} inputs, an image fills one",
                             graph.inputs.size())};
  }
  const std::span<const uint32_t> shape = graph.inputs[0].shape.dims();
  vision::Preprocess preprocess;
  if (option.ends_with(".json")) {
    TRY_ASSIGN(const std::string json, ReadText(option));
    TRY_ASSIGN(preprocess, vision::Preprocess::Parse(json));
    TRY(preprocess.CheckShape(shape));
  } else {
    TRY_ASSIGN(preprocess, vision::Preprocess::Preset(option, shape));
  }
  return preprocess.ToJson();
}

/// The decoder's specification, and the labels that it brings along (the keys of ctc).
Status SetDecoder(const SealOptions& options, const compile::CompiledModel& model,
                  compile::OwnerText& text) {
  constexpr std::string_view kCtc = "ctc:";
  if (options.decode.empty()) return {};
  std::string spec = fmt::format(R"({{"kind":"{}"}})", options.decode);
  if (options.decode.starts_with(kCtc)) {
    TRY_ASSIGN(text.labels, ReadLabels(options.decode.substr(kCtc.size())));
    const Shape& shape = model.graph.outputs.at(0).shape;
    // PaddleOCR appends a space to its keys; the blank comes before them.
    if (shape.rank() > 0 && shape.Back(0) == text.labels.size() + 2) text.labels.emplace_back(" ");
    spec = R"({"kind":"ctc"})";
  } else if (options.decode == "yolo" || options.decode == "region") {
    if (model.decode.empty()) {
      return Error{
          Code::kInvalidArgument,
          fmt::format("--decode {}: the model has no such detection head (only Darknet models do)",
                      options.decode)};
    }
    spec = model.decode;
  } else if (options.decode != "topk" && options.decode != "heatmap") {
    return Error{
        Code::kInvalidArgument,
        fmt::format("--decode {}: give topk, ctc:KEYS, yolo, region or heatmap", options.decode)};
  }
  TRY_ASSIGN(const vision::Decoder decoder, vision::Decoder::Parse(spec));
  text.decode = decoder.ToJson();
  return {};
}

passes::WeightChoice ChoiceOf(const std::string& weights) {
  if (weights == "fp32") return passes::WeightChoice::kFloat32;
  if (weights == "int8") return passes::WeightChoice::kInt8;
  return weights == "int4" ? passes::WeightChoice::kInt4 : passes::WeightChoice::kAuto;
}

nlohmann::json QuantizedJson(const compile::CompiledModel& model) {
  nlohmann::json layers = nlohmann::json::array();
  for (const passes::QuantizedLayer& layer : model.quantized) {
    const graph::Node& node = model.graph.node(layer.node);
    layers.push_back({{"layer", node.name},
                      {"weights", graph::WeightTypeName(layer.type)},
                      {"bytes", node.weights.TotalBytes()},
                      {"relative_error", layer.error}});
  }
  return layers;
}

Result<compile::CodingRequest> MakeCodingRequest(const SealOptions& options) {
  compile::CodingRequest request;
  request.storage_gbps = options.storage_gbps;
  if (options.compress == "max") request.compression = compile::Compression::kMax;
  if (options.compress == "auto") request.compression = compile::Compression::kAuto;
  if (request.storage_gbps == 0) return request;
  if (request.compression != compile::Compression::kAuto) {
    return Error{
        Code::kInvalidArgument,
        fmt::format("--storage-gbps {}: only --compress auto weighs it; add that, or leave "
                    "the option out",
                    options.storage_gbps)};
  }
  host::PosixClock clock;
  TRY_ASSIGN(request.rates, runtime::MeasureRates(clock));
  return request;
}

/// "compression" of the report.
Json CompressionJson(const SealOptions& options, const compile::CodingRequest& request,
                     const compile::CodedWeights& weights) {
  Json json = {{"mode", options.compress},
               {"chunks", weights.chunks},
               {"chunks_coded", weights.coded_chunks},
               {"bytes_before", weights.plain_bytes},
               {"bytes_after", weights.sealed_bytes}};
  if (options.storage_gbps > 0) {
    json["storage_gbps"] = options.storage_gbps;
    json["decrypt_gbps"] = request.rates.aead_gbps;
    json["decode_gbps"] = request.rates.decode_gbps;
  }
  return json;
}

Result<compile::OwnerText> MakeOwnerText(const SealArguments& arguments,
                                         const compile::CompiledModel& model) {
  compile::OwnerText text;
  text.name = arguments.options.name.empty()
                  ? std::filesystem::path(arguments.model).stem().string()
                  : arguments.options.name;
  text.version = arguments.options.version;
  if (!arguments.options.labels.empty()) {
    TRY_ASSIGN(text.labels, ReadLabels(arguments.options.labels));
  }
  TRY_ASSIGN(text.preprocess, PreprocessSpec(arguments.options.preprocess, model.graph));
  TRY(SetDecoder(arguments.options, model, text));
  return text;
}

Status CheckIntegerOptions(const SealOptions& options) {
  const bool own_choice = options.weights == "fp32" || options.weights == "auto";
  if (options.quantize_activations.empty() || own_choice) return {};
  return Error{Code::kInvalidArgument,
               fmt::format("--quantize-activations makes weights int8 by itself: leave --weights "
                           "{} out",
                           options.weights)};
}

Status CheckErrorInputs(const SealOptions& options) {
  const bool chooses = options.weights == "auto" && options.quantize_activations.empty();
  if (options.error_inputs.empty() || chooses) return {};
  return Error{Code::kInvalidArgument,
               "--error-inputs: only --weights auto chooses by the error; leave the option out"};
}

/// The error of quantised weights on the owner's inputs, once it is within --max-error.
Result<std::optional<double>> MeasureErrorIfAsked(const SealOptions& options,
                                                  const std::string& preprocess,
                                                  compile::CompiledModel& model) {
  if (options.error_inputs.empty()) return std::optional<double>();
  ProgressLine measuring("measuring the error", ProgressUnit::kInputs);
  TRY_ASSIGN(const double error,
             compile::KeepWithinError(
                 model, options.error_max, options.error_inputs, preprocess,
                 [&](uint64_t done, uint64_t total) { measuring.Update(done, total); }));
  return std::optional(error);
}

/// Gives the model integer arithmetic, and says on stderr how far that took it from float32. Null
/// where that was not asked for.
Result<Json> QuantizeIfAsked(const SealOptions& options, const std::string& preprocess,
                             compile::CompiledModel& model) {
  if (options.quantize_activations.empty()) return Json();
  const auto ranges = options.calibration == "minmax" ? compile::RangeMethod::kMinMax
                                                      : compile::RangeMethod::kPercentile;
  const auto quantize = [&] {
    ProgressLine calibrating("calibrating", ProgressUnit::kInputs);
    ProgressLine comparing("comparing", ProgressUnit::kInputs);
    return compile::QuantizeModel(
        model, {options.quantize_activations, preprocess, ranges},
        [&](uint64_t done, uint64_t total) { calibrating.Update(done, total); },
        [&](uint64_t done, uint64_t total) { comparing.Update(done, total); });
  };
  TRY_ASSIGN(const compile::QuantizationReport report, quantize());
  std::fputs(QuantizationTable(report).c_str(), stderr);
  return QuantizationJson(report);
}

Result<Report> SealModel(const SealArguments& arguments) {
  TRY(CheckIntegerOptions(arguments.options));
  TRY(CheckErrorInputs(arguments.options));
  TRY_ASSIGN(const compile::CodingRequest coding, MakeCodingRequest(arguments.options));
  TRY_ASSIGN(const crypto::Key256 key, ReadOwnerKey(arguments.key));
  compile::CompileOptions compile_options;
  compile_options.weights_file = arguments.options.weights_file;
  compile_options.extra_output_layers = arguments.options.output_layers;
  const bool integer = !arguments.options.quantize_activations.empty();
  compile_options.weights =
      integer ? passes::WeightChoice::kFloat32 : ChoiceOf(arguments.options.weights);
  // Measured later: every layer that gains by it, until then.
  constexpr double kAnyError = 1e9;
  const bool measures = !arguments.options.error_inputs.empty();
  compile_options.error_max = measures ? kAnyError : arguments.options.error_max;
  if (arguments.options.exact || integer) compile_options.sums = compile::Sums::kExact;
  TRY_ASSIGN(compile_options.shapes, arguments.options.ParseShapes());
  TRY_ASSIGN(compile::CompiledModel model, compile::Compile(arguments.model, compile_options));
  TRY_ASSIGN(const compile::OwnerText text, MakeOwnerText(arguments, model));
  TRY_ASSIGN(const std::optional<double> error,
             MeasureErrorIfAsked(arguments.options, text.preprocess, model));
  TRY_ASSIGN(const Json quantization, QuantizeIfAsked(arguments.options, text.preprocess, model));
  TRY_ASSIGN(const auto file,
             host::AtomicFile::Create(arguments.output, 0644, host::Overwrite::kReplace));
  FileSink sink(*file);
  host::PosixEntropy entropy;
  compile::CodedWeights weights;
  {
    ProgressLine progress("sealing");
    TRY_ASSIGN(weights,
               compile::Seal(
                   model, text, sink, key, entropy, crypto::PreferredAeadBackend(), coding,
                   [&progress](uint64_t done, uint64_t total) { progress.Update(done, total); }));
  }
  TRY(file->Commit());
  Report report;
  report.json = {{"sealed_file", arguments.output},
                 {"name", text.name},
                 {"layers", model.graph.nodes.size()},
                 {"weight_bytes", WeightBytes(model.graph)},
                 {"file_bytes", sink.bytes()},
                 {"weights", arguments.options.weights},
                 {"quantized_layers", QuantizedJson(model)},
                 {"estimated_error", passes::EstimatedError(model.quantized)},
                 {"compression", CompressionJson(arguments.options, coding, weights)},
                 {"inputs", PortsJson(model.graph.inputs)},
                 {"outputs", PortsJson(model.graph.outputs)}};
  if (integer) report.json["quantization"] = quantization;
  if (error) report.json["measured_error"] = *error;
  report.text = fmt::format("Sealed {} ({} layers, {} of weights) into {} ({})\n", text.name,
                            model.graph.nodes.size(), FormatBytes(WeightBytes(model.graph)),
                            arguments.output, FormatBytes(sink.bytes()));
  if (!model.quantized.empty()) {
    report.text += fmt::format(
        "Weights of {} layers quantised; {} error of the outputs {:.2g} of their magnitude\n",
        model.quantized.size(), error ? "measured" : "estimated",
        error.value_or(passes::EstimatedError(model.quantized)));
  }
  if (arguments.options.compress != "none") {
    report.text += fmt::format("Coded {} of {} chunks: {} instead of {}\n", weights.coded_chunks,
                               weights.chunks, FormatBytes(weights.sealed_bytes),
                               FormatBytes(weights.plain_bytes));
  }
  return report;
}

}  // namespace

void AddSealVerb(CLI::App& app, Console& console) {
  CLI::App* const verb =
      app.add_subcommand("seal", "Optimise, pack and encrypt a model under an owner key");
  const auto arguments = std::make_shared<SealArguments>();
  verb->add_option("MODEL", arguments->model, "A .onnx file, or a Darknet .cfg with --weights-file")
      ->required();
  verb->add_option("-o,--output", arguments->output,
                   "The sealed file to write (appears whole or not at all)")
      ->required();
  verb->add_option("--key", arguments->key, "The owner key")->required();
  AddSealOptions(verb, arguments->options);
  verb->footer(
      "Examples:\n"
      "  coracle seal squeezenet.onnx -o s.sealed --key owner.key --preprocess caffe --decode topk "
      "--labels names.txt\n"
      "  coracle seal rec.onnx -o rec.sealed --key owner.key --shape x=1x3x48x320 --preprocess ocr "
      "--decode ctc:keys.txt\n"
      "  coracle seal yolov3.cfg --weights-file yolov3.weights -o y.sealed --key owner.key "
      "--preprocess darknet --decode yolo\n"
      "  coracle seal resnet50.onnx -o r.sealed --key owner.key --preprocess imagenet "
      "--quantize-activations photos/");
  console.Register(verb, [arguments] { return SealModel(*arguments); });
}

}  // namespace coracle::cmd
