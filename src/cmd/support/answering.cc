#include "cmd/support/answering.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <vector>

#include "cmd/support/describe.h"
#include "runtime/ports.h"
#include "vision/draw.h"
#include "vision/image.h"
#include "vision/npy.h"

namespace coracle::cmd {
namespace {

constexpr size_t kPieceElements = 4096;

/// One output of a session, as decoders read it. They know of no failure: what could not be read
/// is zeros to them, and status() is asked before anything of theirs is used.
class SessionOutput final : public vision::OutputView {
 public:
  SessionOutput(const runtime::Session& session, const graph::Port& port, uint32_t index)
      : session_(session), port_(port), index_(index) {}
  std::string_view name() const override { return port_.name; }
  const Shape& shape() const override { return port_.shape; }
  void Read(uint64_t first, std::span<float> values) const override {
    Status read = session_.ReadOutput(index_, first, values);
    if (read.ok()) return;
    std::ranges::fill(values, 0.0F);
    if (status_.ok()) status_ = std::move(read);
  }
  /// The first failure of Read.
  const Status& status() const { return status_; }
  const graph::Port& port() const { return port_; }
  /// True if reading row by row is much less work than in the file's order.
  bool WantsRowOrder() const {
    return session_.plan().tensors[Position(port_.tensor)].home == plan::Home::kOutside;
  }

 private:
  const runtime::Session& session_;
  const graph::Port& port_;
  uint32_t index_;
  mutable Status status_;
};

Status StatusOf(const std::vector<SessionOutput>& outputs) {
  for (const SessionOutput& output : outputs) TRY(output.status());
  return {};
}

std::vector<SessionOutput> Outputs(const runtime::Session& session,
                                   const seal::Manifest& manifest) {
  std::vector<SessionOutput> outputs;
  for (uint32_t i = 0; i < manifest.graph.outputs.size(); ++i) {
    outputs.emplace_back(session, manifest.graph.outputs[i], i);
  }
  return outputs;
}

Status WriteNpy(const SessionOutput& output, const std::string& path) {
  TRY_ASSIGN(vision::NpyWriter writer, vision::NpyWriter::Create(path, output.shape()));
  std::array<float, kPieceElements> piece;
  if (output.WantsRowOrder() && writer.TakesAnyOrder()) {
    TRY(runtime::ForEachRowPiece(output.port(), kPieceElements,
                                 [&](uint64_t first, uint64_t count) -> Status {
                                   const std::span<float> values(piece.data(), count);
                                   output.Read(first, values);
                                   return writer.WriteAt(first, values);
                                 }));
  } else {
    const uint64_t elements = output.shape().Elements();
    for (uint64_t first = 0; first < elements; first += kPieceElements) {
      const std::span<float> values(piece.data(),
                                    std::min<uint64_t>(kPieceElements, elements - first));
      output.Read(first, values);
      TRY(writer.Append(values));
    }
  }
  TRY(output.status());
  return writer.Finish();
}

std::string FileName(std::string_view output) {
  std::string name(output);
  std::replace(name.begin(), name.end(), '/', '_');
  return name + ".npy";
}

}  // namespace

Result<std::unique_ptr<Answering>> Answering::Make(const seal::Manifest& manifest,
                                                   const std::string& output,
                                                   const std::string& draw, uint32_t top) {
  std::unique_ptr<Answering> answering(new Answering(manifest, output, draw, top));
  if (!manifest.decode.empty()) {
    TRY_ASSIGN(answering->decoder_, vision::Decoder::Parse(manifest.decode));
  }
  if (!draw.empty() && !answering->decoder_.has_value()) {
    return Error{Code::kInvalidArgument,
                 "--draw: the model was sealed without --decode, so there is no answer to paint"};
  }
  const bool folder = output.ends_with('/') || std::filesystem::is_directory(output);
  if (!output.empty() && !folder && manifest.graph.outputs.size() != 1) {
    return Error{Code::kInvalidArgument,
                 fmt::format("--output {}: the model has {} outputs; give a folder, DIR/", output,
                             manifest.graph.outputs.size())};
  }
  if (!output.empty() && !folder && !output.ends_with(".npy")) {
    return Error{Code::kInvalidArgument,
                 fmt::format("--output {}: give FILE.npy, or a folder DIR/", output)};
  }
  return answering;
}

Status Answering::WriteOutputs(const runtime::Session& session) const {
  if (output_.empty()) return {};
  const std::vector<SessionOutput> outputs = Outputs(session, manifest_);
  if (output_.ends_with(".npy")) return WriteNpy(outputs.front(), output_);
  std::error_code failure;
  std::filesystem::create_directories(output_, failure);
  if (failure)
    return Error{Code::kUnavailable, fmt::format("cannot make {}: {}", output_, failure.message())};
  for (const SessionOutput& output : outputs) {
    TRY(WriteNpy(output, (std::filesystem::path(output_) / FileName(output.name())).string()));
  }
  return {};
}

Result<cmd::Report> Answering::Describe(const runtime::Session& session,
                                        const std::optional<vision::Geometry>& geometry,
                                        const std::string& image_path) const {
  TRY(WriteOutputs(session));
  cmd::Report report;
  report.json["outputs"] = PortsJson(manifest_.graph.outputs);
  if (!decoder_.has_value()) {
    for (const graph::Port& port : manifest_.graph.outputs) {
      report.text += fmt::format("output {} {}\n", port.name, port.shape.ToString());
    }
    return report;
  }
  const std::vector<SessionOutput> outputs = Outputs(session, manifest_);
  std::vector<const vision::OutputView*> views;
  views.reserve(outputs.size());
  for (const SessionOutput& output : outputs) views.push_back(&output);
  Result<vision::Answer> decoded = decoder_->Decode(views, manifest_.labels, {top_, geometry});
  TRY(StatusOf(outputs));  // before what the decoder says of zeros
  TRY_ASSIGN(const vision::Answer answer, std::move(decoded));
  report.json["outputs"][answer.output].update(Json(answer.ToJson()));
  report.text += answer.ToText();
  if (draw_.empty()) return report;
  std::optional<vision::Image> image;
  if (!image_path.empty()) {
    TRY_ASSIGN(image, vision::LoadImage(image_path));
  }
  TRY_ASSIGN(const vision::Image drawn,
             vision::Draw(image ? &*image : nullptr, answer, views, geometry));
  TRY(StatusOf(outputs));
  TRY(vision::WritePng(drawn, draw_));
  report.json["drawn"] = draw_;
  return report;
}

}  // namespace coracle::cmd
